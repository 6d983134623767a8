package conformance

import (
	"context"
	"strings"
	"testing"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/ent/session"
	"github.com/entsession/entsession/internal/dbtest"
)

// stops is a driver that stops where a test tells it to.
type stops struct {
	dialect.Driver
	beforeExec   func(query string)
	beforeCommit func()
}

func (s *stops) Exec(ctx context.Context, query string, args, v any) error {
	if s.beforeExec != nil {
		s.beforeExec(query)
	}
	return s.Driver.Exec(ctx, query, args, v)
}

func (s *stops) Tx(ctx context.Context) (dialect.Tx, error) {
	tx, err := s.Driver.Tx(ctx)
	return &stopsTx{tx, s}, err
}

type stopsTx struct {
	dialect.Tx
	stops *stops
}

func (s *stopsTx) Commit() error {
	if s.stops.beforeCommit != nil {
		s.stops.beforeCommit()
	}
	return s.Tx.Commit()
}

// awaitLock waits until someone waits for a row's lock.
func (e *env) awaitLock() {
	query := "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
	if e.db.Kind.Dialect == dbtest.MySQL {
		query = "SELECT count(*) FROM information_schema.innodb_trx t JOIN information_schema.processlist p ON p.id = t.trx_mysql_thread_id WHERE p.db = DATABASE() AND t.trx_state = 'LOCK WAIT'"
	}
	require.Eventually(e, func() bool { return e.int(query) > 0 }, waitFor, tick)
}

// testRevokeMeetsRotations: a session that gets a new id again and again while its subject is signed out everywhere is signed out too.
func testRevokeMeetsRotations(t *testing.T, e *env) {
	opened := e.store()
	committing, commit := make(chan bool), make(chan bool)
	rotating, err := entsession.New(ctx, &stops{
		Driver:       entsql.OpenDB(e.db.Kind.Dialect, e.db.Admin(t)),
		beforeCommit: func() { committing <- true; <-commit },
	}, entsession.Config{DisableAutopurge: true})
	require.NoError(t, err)
	s := e.create(opened, "x", entsession.Set(session.FieldSubject, "42"))
	rotated := make(chan *entsession.Session, 1)
	rotate := func(id string) {
		go func() {
			fresh, err := rotating.Rotate(ctx, id)
			if err != nil {
				t.Errorf("Rotate: %v", err)
			}
			rotated <- fresh
		}()
		<-committing
	}
	passes := 0
	revoking, err := entsession.New(ctx, &stops{
		Driver: entsql.OpenDB(e.db.Kind.Dialect, e.db.Admin(t)),
		beforeExec: func(query string) {
			if !strings.HasPrefix(query, "UPDATE") {
				return
			}
			if passes++; passes > 2 {
				return
			}
			if passes == 2 {
				s = <-rotated
				rotate(s.ID())
			}
			go func() {
				e.awaitLock()
				commit <- true
			}()
		},
	}, entsession.Config{DisableAutopurge: true})
	require.NoError(t, err)
	rotate(s.ID())
	_, err = revoking.Revoke(ctx, session.Subject("42"))
	require.NoError(t, err)
	require.Zero(t, e.int("SELECT count(*) FROM sessions WHERE timeout >= {now}"))
}

package conformance

import (
	"context"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/internal/dbtest"
)

// stops is a driver that calls a test before it does something, so that a test can step between two statements of a call.
type stops struct {
	dialect.Driver
	beforeExec   func(query string) // in a transaction too
	beforeBegin  func(ctx context.Context)
	beforeCommit func()
}

// stopping makes a store on such a driver, with a pool of its own.
func (e *env) stopping(s *stops, change ...func(*entsession.Config)) *entsession.Store {
	e.Helper()
	cfg := entsession.Config{DisableAutopurge: true}
	for _, c := range change {
		c(&cfg)
	}
	s.Driver = entsql.OpenDB(e.db.Kind.Dialect, e.db.Admin(e))
	store, err := entsession.New(ctx, s, cfg)
	require.NoError(e, err)
	e.Cleanup(func() { require.NoError(e, store.Close()) })
	return store
}

func (s *stops) Exec(ctx context.Context, query string, args, v any) error {
	s.exec(query)
	return s.Driver.Exec(ctx, query, args, v)
}

func (s *stops) Query(ctx context.Context, query string, args, v any) error {
	s.exec(query) // a Save that returns the timeout is a query
	return s.Driver.Query(ctx, query, args, v)
}

func (s *stops) exec(query string) {
	if s.beforeExec != nil {
		s.beforeExec(query)
	}
}

func (s *stops) Tx(ctx context.Context) (dialect.Tx, error) {
	if s.beforeBegin != nil {
		s.beforeBegin(ctx)
	}
	tx, err := s.Driver.Tx(ctx)
	if err != nil {
		return nil, err
	}
	return &stopsTx{tx, s}, nil
}

type stopsTx struct {
	dialect.Tx
	stops *stops
}

func (t *stopsTx) Exec(ctx context.Context, query string, args, v any) error {
	t.stops.exec(query)
	return t.Tx.Exec(ctx, query, args, v)
}

func (t *stopsTx) Commit() error {
	if t.stops.beforeCommit != nil {
		t.stops.beforeCommit()
	}
	return t.Tx.Commit()
}

// awaitLock waits until someone waits for a row's lock.
func (e *env) awaitLock() {
	require.Eventually(e, func() bool { return e.waiting() > 0 }, waitFor, tick)
}

// waiting counts those who wait for a lock.
func (e *env) waiting() int64 {
	e.Helper()
	if e.db.Kind.Dialect == dbtest.MySQL {
		// InnoDB's own list is made anew only when nobody has read it for 0.1 s. No statement here takes that long, unless it waits.
		return e.int("SELECT count(*) FROM information_schema.processlist WHERE db = DATABASE() AND command = 'Query' AND time_ms > 20 AND id <> CONNECTION_ID()")
	}
	return e.int("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
}

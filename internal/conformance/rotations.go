package conformance

import (
	"strings"
	"testing"

	entsql "entgo.io/ent/dialect/sql"
	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/ent/session"
)

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

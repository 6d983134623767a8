package conformance

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/ent/session"
	"github.com/entsession/entsession/internal/dbtest"
)

// everyCall is each call there is, on a session of its own.
func (e *env) everyCall(store *entsession.Store) map[string]func(ctx context.Context) error {
	e.Helper()
	fresh := func() *entsession.Session { return e.create(store, "0", entsession.Set(session.FieldSubject, "42")) }
	save, update, touch, rotate, remove := fresh(), fresh(), fresh(), fresh(), fresh()
	return map[string]func(context.Context) error{
		"Create": func(ctx context.Context) error { _, err := store.Create(ctx, nil); return err },
		"Load":   func(ctx context.Context) error { _, err := store.Load(ctx, save.ID()); return err },
		"Save":   func(ctx context.Context) error { save.Data = append(save.Data, '.'); return store.Save(ctx, save) },
		"Update": func(ctx context.Context) error { _, err := store.Update(ctx, update.ID(), increment); return err },
		"Touch":  func(ctx context.Context) error { return store.Touch(ctx, touch.ID()) },
		"Rotate": func(ctx context.Context) error {
			s, err := store.Rotate(ctx, rotate.ID())
			if err == nil {
				rotate = s
			}
			return err
		},
		"Delete": func(ctx context.Context) error { return store.Delete(ctx, remove.ID()) },
		"Revoke": func(ctx context.Context) error { _, err := store.Revoke(ctx, session.Subject("43")); return err },
		"List": func(ctx context.Context) (err error) {
			for _, err = range store.List(ctx) {
			}
			return err
		},
		"Purge": func(ctx context.Context) error { _, err := store.Purge(ctx); return err },
		"Usage": func(ctx context.Context) error { _, err := store.Usage(ctx); return err },
	}
}

// testPoolExhausted: while the application has every connection, each call waits as long as its context, or else the statement timeout, allows. Then
// all is as it was.
func testPoolExhausted(t *testing.T, e *env) {
	const limit, patience = time.Second, 3 * time.Second // the machine may be busy
	store := e.store(func(c *entsession.Config) { c.MaxOpenConns, c.StatementTimeout = 2, limit })
	calls := e.everyCall(store)
	for range 2 {
		var taken []interface{ Rollback() error }
		for range 2 {
			tx, err := store.Client().Tx(ctx)
			require.NoError(t, err)
			taken = append(taken, tx)
			if e.db.Kind.Dialect == dbtest.SQLite { // whose transactions exclude each other
				break
			}
		}
		type answer struct {
			name        string
			err         error
			spent, upto time.Duration
		}
		answers := make(chan answer, 2*len(calls))
		n := 0
		for name, call := range calls {
			if reads := []string{"Load", "List", "Usage", "Touch"}; e.db.Kind.Dialect == dbtest.SQLite && slices.Contains(reads, name) {
				continue // there is a connection left for them, and no Touch is due
			}
			for _, own := range []time.Duration{limit / 10, 0} {
				n++
				go func() {
					within, upto := ctx, limit
					if own > 0 {
						var cancel context.CancelFunc
						within, cancel = context.WithTimeout(ctx, own)
						defer cancel()
						upto = own
					}
					start := time.Now()
					err := call(within)
					answers <- answer{name, err, time.Since(start), upto}
				}()
				if name == "Save" || name == "Rotate" {
					break // on a session that is one caller's
				}
			}
		}
		for range n {
			select {
			case a := <-answers:
				require.ErrorIs(t, a.err, context.DeadlineExceeded, a.name)
				require.Less(t, a.spent, a.upto+patience, a.name)
			case <-time.After(waitFor):
				t.Fatal("a call waits for ever")
			}
		}
		for _, tx := range taken {
			require.NoError(t, tx.Rollback())
		}
		for name, call := range calls {
			if err := call(ctx); err != nil && !(name == "Save" && errors.Is(err, entsession.ErrConflict)) {
				t.Errorf("%s, when there are connections again: %v", name, err)
			}
		}
	}
}

// testSlowUpdate: a function given to Update that takes its time under the row's lock, on the pool's only connection. Who else calls obeys his
// context, and so does the function when it calls the store, which it must not.
func testSlowUpdate(t *testing.T, e *env) {
	e.exec(bareTable) // without a version Update locks
	store := e.open(func(c *entsession.Config) { c.MaxOpenConns, c.StatementTimeout = 1, 500*time.Millisecond })
	s, other := e.create(store, "0"), e.create(store, "0")
	begun, done := make(chan bool), make(chan bool)
	updated := make(chan error, 1)
	go func() {
		_, err := store.Update(ctx, s.ID(), func(s *entsession.Session) error { begun <- true; <-done; return increment(s) })
		updated <- err
	}()
	<-begun
	for name, call := range map[string]func(context.Context) error{
		"Load":   func(ctx context.Context) error { _, err := store.Load(ctx, other.ID()); return err },
		"Save":   func(ctx context.Context) error { return store.Save(ctx, other) },
		"Create": func(ctx context.Context) error { _, err := store.Create(ctx, nil); return err },
		"Update": func(ctx context.Context) error { _, err := store.Update(ctx, other.ID(), increment); return err },
	} {
		brief, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
		require.ErrorIs(t, call(brief), context.DeadlineExceeded, name)
		cancel()
	}
	close(done)
	require.NoError(t, <-updated)
	require.NoError(t, store.Touch(ctx, other.ID()))

	nested := make(chan error, 1)
	go func() {
		_, err := store.Update(ctx, s.ID(), func(*entsession.Session) error { _, err := store.Load(ctx, other.ID()); return err })
		nested <- err
	}()
	select {
	case err := <-nested:
		require.ErrorIs(t, err, context.DeadlineExceeded, "the statement timeout ends it")
	case <-time.After(waitFor):
		t.Fatal("it waits for itself")
	}
	require.Equal(t, "1", string(got0(t, store, s.ID()).Data))
	_, err := store.Update(ctx, s.ID(), increment)
	require.NoError(t, err)
}

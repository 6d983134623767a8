package conformance

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/ent/session"
	"github.com/entsession/entsession/internal/dbtest"
)

// testAlteredAtWork: a migration adds a column and an index, changes a column's type, and drops what it added, while callers work at full speed. None
// of them hears of it.
func testAlteredAtWork(t *testing.T, e *env) {
	if e.another() || e.mode.Name == "alone" { // one of the stores sends its calls alone in every mode
		return
	}
	stores := []*entsession.Store{e.store(), e.byDefault(func(c *entsession.Config) { c.DisableBatching = true })}
	e.admin.SetMaxOpenConns(1)
	type caller func(store *entsession.Store, own, shared *entsession.Session, n int) error
	may := func(err error, allowed ...error) error {
		for _, a := range allowed {
			if errors.Is(err, a) {
				return nil
			}
		}
		return err
	}
	callers := map[string]caller{
		"Load": func(store *entsession.Store, own, _ *entsession.Session, _ int) error {
			_, err := store.Load(ctx, own.ID())
			return err
		},
		"Save": func(store *entsession.Store, own, _ *entsession.Session, n int) error {
			own.Data = fmt.Append(nil, n)
			return store.Save(ctx, own)
		},
		"SaveColumn": func(store *entsession.Store, own, _ *entsession.Session, n int) error {
			own.Data = fmt.Append(nil, n)
			return store.Save(ctx, own, entsession.Set(session.FieldSubject, fmt.Sprint(n)), entsession.Set("note", fmt.Sprint(n)))
		},
		"Update": func(store *entsession.Store, _, shared *entsession.Session, _ int) error {
			_, err := store.Update(ctx, shared.ID(), increment)
			return err
		},
		"Touch": func(store *entsession.Store, own, _ *entsession.Session, _ int) error {
			return store.Touch(ctx, own.ID())
		},
		"CreateRotateDelete": func(store *entsession.Store, _, _ *entsession.Session, n int) error {
			s, err := store.Create(ctx, []byte("x"), entsession.Set(session.FieldSubject, "gone"))
			if err != nil {
				return fmt.Errorf("create: %w", err)
			}
			s, err = store.Rotate(ctx, s.ID(), entsession.Set(session.FieldSubject, "gone"))
			if may(err, entsession.ErrNotFound) != nil {
				return fmt.Errorf("rotate: %w", err)
			}
			if err == nil && n%2 == 0 {
				err = store.Delete(ctx, s.ID())
			}
			return may(err, entsession.ErrNotFound)
		},
		"ListRevokePurge": func(store *entsession.Store, _, _ *entsession.Session, _ int) error {
			for _, err := range store.List(ctx, session.Subject("gone")) {
				if err != nil {
					return fmt.Errorf("list: %w", err)
				}
			}
			if _, err := store.Revoke(ctx, session.Subject("gone")); err != nil {
				return fmt.Errorf("revoke: %w", err)
			}
			_, err := store.Purge(ctx)
			return err
		},
	}
	e.exec("ALTER TABLE sessions ADD COLUMN note varchar(40) NULL")
	shared := e.create(stores[0], "0", entsession.Set("note", "0"))
	var done atomic.Int64
	var updates atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for name, call := range callers {
		for i := range 4 {
			store := stores[i%2]
			own := e.create(store, "0", entsession.Set("note", "0"))
			if name == "Touch" {
				store = e.open(func(c *entsession.Config) { c.TouchInterval = -1 })
			}
			wg.Go(func() {
				for n := 0; ; n++ {
					if err := call(store, own, shared, n); err != nil {
						t.Errorf("%s: %v", name, err)
						return
					}
					done.Add(1)
					if name == "Update" {
						updates.Add(1)
					}
					select {
					case <-stop:
						return
					default:
					}
				}
			})
		}
	}
	step := func(query string) {
		before := done.Load()
		e.exec(query)
		require.Eventually(t, func() bool { return t.Failed() || done.Load() > before+100 }, waitFor, tick, query) // all of them met it
	}
	func() {
		defer wg.Wait()
		defer close(stop)
		for round := range 2 {
			for _, query := range e.alterations() {
				step(fmt.Sprintf(query, round))
			}
		}
	}()
	require.Equal(t, fmt.Sprint(updates.Load()), string(got0(t, stores[0], shared.ID()).Data), "each Update is applied once")
	t.Logf("%d calls", done.Load())
}

// alterations are what a migration does to a table of someone who is at work. %d is a number that no other round has.
func (e *env) alterations() []string {
	all := []string{"ALTER TABLE sessions ADD COLUMN added%d varchar(40) NULL", "CREATE INDEX session_note%d ON sessions (note)"}
	switch e.db.Kind.Dialect {
	case dbtest.Postgres:
		all = append(all, "ALTER TABLE sessions ALTER COLUMN note TYPE text -- %d", "ALTER TABLE sessions ALTER COLUMN note TYPE varchar(50) -- %d",
			"DROP INDEX session_note%d", "CREATE INDEX CONCURRENTLY session_added%[1]d ON sessions (added%[1]d)")
	case dbtest.MySQL:
		all = append(all, "ALTER TABLE sessions MODIFY note text NULL, DROP INDEX session_note%d", "ALTER TABLE sessions MODIFY note varchar(50) NULL -- %d")
	default:
		all = append(all, "DROP INDEX session_note%d")
	}
	return append(all, "ALTER TABLE sessions DROP COLUMN added%d")
}

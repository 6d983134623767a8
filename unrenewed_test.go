package entsession_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/ent/session"
	"github.com/entsession/entsession/internal/adapter"
	"github.com/entsession/entsession/internal/dbtest"
)

// TestUnrenewed: SQLite's writes leave the timeout, and its index, alone as long as it stays what it was loaded as, and are the others' in everything else.
func TestUnrenewed(t *testing.T) {
	t.Parallel()
	for _, alone := range []bool{true, false} {
		for name, write := range map[string]func(*commitEnv, *entsession.Session) (*entsession.Session, error){
			"Save": func(e *commitEnv, s *entsession.Session) (*entsession.Session, error) {
				return s, e.store.Save(e.Context(), s)
			},
			"SaveColumns": func(e *commitEnv, s *entsession.Session) (*entsession.Session, error) {
				return s, e.store.Save(e.Context(), s, entsession.Set(session.FieldSubject, "ann"))
			},
			"Put": func(e *commitEnv, s *entsession.Session) (*entsession.Session, error) {
				res, err := e.put(adapter.Write{ID: s.ID(), Data: s.Data, Loaded: s, Guarded: true, Default: true})
				if res.Ended {
					return nil, entsession.ErrNotFound
				}
				put, _ := res.Session.(*entsession.Session)
				return put, err
			},
		} {
			t.Run(fmt.Sprintf("alone=%v/%s", alone, name), func(t *testing.T) {
				t.Parallel()
				e := newCommitEnv(t, dbtest.Kinds(dbtest.SQLite)[0], alone)
				testUnrenewed(e, func(s *entsession.Session) (*entsession.Session, error) { return write(e, s) })
			})
		}
	}
}

func testUnrenewed(e *commitEnv, write func(*entsession.Session) (*entsession.Session, error)) {
	e.exec("CREATE TABLE renewals (id text)")
	e.exec("CREATE TRIGGER renewed AFTER UPDATE OF timeout ON sessions BEGIN INSERT INTO renewals VALUES (NEW.id); END") // named, be it with the same value
	created, err := e.store.Create(e.Context(), []byte("x"))
	require.NoError(e, err)
	full := e.left()
	n := 0
	next := func(s *entsession.Session) (*entsession.Session, error) {
		n++
		s.Data = []byte(fmt.Sprint("change ", n))
		return write(s)
	}
	// good wants a write that is there afterwards, with a timeout as far ahead as that, and tells whether it named the timeout.
	good := func(s *entsession.Session, ahead int64) (_ *entsession.Session, named bool) {
		e.Helper()
		e.exec("DELETE FROM renewals")
		s, err := next(s)
		require.NoError(e, err)
		there := e.load(created.ID())
		require.Equal(e, fmt.Sprint("change ", n), string(there.Data))
		require.Equal(e, there.Expires(), s.Expires())
		require.InDelta(e, ahead, e.left(), 30)
		count := 0
		require.NoError(e, e.db.QueryRow("SELECT count(*) FROM renewals").Scan(&count))
		return s, count > 0
	}
	last, named := good(created, full)
	require.False(e, named, "of a session just created")
	last, named = good(last, full)
	require.False(e, named, "of one just saved")
	stale := last
	last, named = good(e.load(created.ID()), full)
	require.False(e, named, "of one just loaded")

	_, err = next(stale)
	require.ErrorIs(e, err, entsession.ErrConflict)

	e.exec("UPDATE sessions SET timeout = timeout + 1") // someone else's renewal
	last, named = good(last, full)
	require.True(e, named)
	_, named = good(last, full)
	require.False(e, named)

	e.exec("UPDATE sessions SET timeout = unixepoch() + 5") // a renewal is due, and was when it was loaded
	last, named = good(e.load(created.ID()), full)
	require.True(e, named)

	e.exec("UPDATE sessions SET timeout = unixepoch() - 1")
	_, err = next(last)
	require.ErrorIs(e, err, entsession.ErrNotFound)
	e.exec(fmt.Sprint("UPDATE sessions SET timeout = ", last.Expires().Unix()))

	e.store = e.open(func(c *entsession.Config) { c.MaxLifetime = 2 * time.Hour })
	e.exec("UPDATE sessions SET created = unixepoch() - 6000")
	last, named = good(e.load(created.ID()), 1200) // the lifetime was made shorter
	require.True(e, named)
	_, named = good(last, 1200)
	require.False(e, named)

	e.exec("UPDATE sessions SET created = unixepoch() - 7195, timeout = unixepoch() + 5")
	last = e.load(created.ID())
	require.Eventually(e, func() bool { return e.left() < 0 }, 20*time.Second, 50*time.Millisecond)
	_, err = next(last) // its timeout is what it was loaded as, and no renewal would move it
	require.ErrorIs(e, err, entsession.ErrNotFound)
}

// TestUncounted: SQLite doesn't count what the triggers of a view write. A write that was not counted is known by its version.
func TestUncounted(t *testing.T) {
	t.Parallel()
	for _, alone := range []bool{true, false} {
		t.Run(fmt.Sprintf("alone=%v", alone), func(t *testing.T) {
			t.Parallel()
			e := newCommitEnv(t, dbtest.Kinds(dbtest.SQLite)[0], alone)
			s, err := e.store.Create(t.Context(), []byte("x"))
			require.NoError(t, err)
			e.exec("ALTER TABLE sessions RENAME TO rows")
			e.exec("CREATE VIEW sessions AS SELECT * FROM rows")
			e.exec("CREATE TRIGGER written INSTEAD OF UPDATE ON sessions BEGIN UPDATE rows SET data = NEW.data, version = NEW.version, timeout = NEW.timeout WHERE id = NEW.id; END")
			s = e.load(s.ID())
			s.Data = []byte("saved")
			require.NoError(t, e.store.Save(t.Context(), s))
			require.Equal(t, "saved", string(e.load(s.ID()).Data))
			put := e.must(adapter.Write{ID: s.ID(), Data: []byte("put"), Loaded: s, Guarded: true, Default: true})
			there := e.load(s.ID())
			require.Equal(t, "put", string(there.Data))
			require.Equal(t, there.Expires(), put.Expires())
			_, err = e.put(adapter.Write{ID: s.ID(), Data: []byte("late"), Loaded: s, Guarded: true, Default: true})
			require.ErrorIs(t, err, entsession.ErrConflict)
		})
	}
}

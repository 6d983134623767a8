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

// TestUnrenewed: SQLite's and PostgreSQL's writes leave the timeout alone as long as it stays what it was loaded as, and are the others' in everything else.
func TestUnrenewed(t *testing.T) {
	t.Parallel()
	for _, run := range []struct {
		dialect string
		alone   bool
	}{{dbtest.SQLite, true}, {dbtest.SQLite, false}, {dbtest.Postgres, true}, {dbtest.Postgres, false}} {
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
			if run.dialect == dbtest.Postgres && !run.alone && name == "SaveColumns" {
				continue // is one statement over arrays
			}
			kind := dbtest.Kinds(run.dialect)[0]
			t.Run(fmt.Sprintf("%s/alone=%v/%s", kind.Name, run.alone, name), func(t *testing.T) {
				t.Parallel()
				e := newCommitEnv(t, kind, run.alone)
				if open := e.open; !run.alone {
					e.open = func(change func(*entsession.Config)) *entsession.Store {
						store := open(change)
						entsession.Pipelined(store)
						return store
					}
					entsession.Pipelined(e.store)
				}
				testUnrenewed(e, func(s *entsession.Session) (*entsession.Session, error) { return write(e, s) })
			})
		}
	}
}

// countRenewals has a trigger count the writes that name the timeout, be it with the same value.
func countRenewals(e *commitEnv) (count func() int) {
	e.exec("CREATE TABLE renewals (id text)")
	insert := "INSERT INTO renewals VALUES (NEW.id);"
	if e.kind.Dialect == dbtest.Postgres {
		e.exec("CREATE FUNCTION renewing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN " + insert + " RETURN NULL; END $$")
		e.exec("CREATE TRIGGER renewed AFTER UPDATE OF timeout ON sessions FOR EACH ROW EXECUTE PROCEDURE renewing()")
	} else {
		e.exec("CREATE TRIGGER renewed AFTER UPDATE OF timeout ON sessions BEGIN " + insert + " END")
	}
	return func() (n int) {
		e.Helper()
		require.NoError(e, e.db.QueryRow("SELECT count(*) FROM renewals").Scan(&n))
		e.exec("DELETE FROM renewals")
		return n
	}
}

func testUnrenewed(e *commitEnv, write func(*entsession.Session) (*entsession.Session, error)) {
	renewals := countRenewals(e)
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
		renewals()
		s, err := next(s)
		require.NoError(e, err)
		there := e.load(created.ID())
		require.Equal(e, fmt.Sprint("change ", n), string(there.Data))
		require.Equal(e, there.Expires(), s.Expires())
		require.InDelta(e, ahead, e.left(), 30)
		return s, renewals() > 0
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

	e.exec("UPDATE sessions SET timeout = " + e.now() + " + 5") // a renewal is due, and was when it was loaded
	last, named = good(e.load(created.ID()), full)
	require.True(e, named)

	e.exec("UPDATE sessions SET timeout = " + e.now() + " - 1")
	_, err = next(last)
	require.ErrorIs(e, err, entsession.ErrNotFound)
	e.exec(fmt.Sprint("UPDATE sessions SET timeout = ", last.Expires().Unix()))

	e.store = e.open(func(c *entsession.Config) { c.MaxLifetime = 2 * time.Hour })
	e.exec("UPDATE sessions SET created = " + e.now() + " - 6000")
	last, named = good(e.load(created.ID()), 1200) // the lifetime was made shorter
	require.True(e, named)
	_, named = good(last, 1200)
	require.False(e, named)

	e.exec("UPDATE sessions SET created = " + e.now() + " - 7195, timeout = " + e.now() + " + 5")
	last = e.load(created.ID())
	require.Eventually(e, func() bool { return e.left() < 0 }, 20*time.Second, 50*time.Millisecond)
	_, err = next(last) // its timeout is what it was loaded as, and no renewal would move it
	require.ErrorIs(e, err, entsession.ErrNotFound)
}

// TestUnrenewedTogether: of the saves of a trip, each is renewed that has to be, and no other.
func TestUnrenewedTogether(t *testing.T) {
	t.Parallel()
	e := newCommitEnv(t, dbtest.Kinds(dbtest.Postgres)[0], false)
	entsession.Pipelined(e.store)
	sessions := map[string]*entsession.Session{}
	for _, name := range []string{"unchanged", "unchanged too", "renewed since", "due", "changed since", "dead"} {
		s, err := e.store.Create(t.Context(), []byte("x"))
		require.NoError(t, err)
		sessions[name] = s
	}
	stored := func(name string) string { return "'" + entsession.Key(e.store, sessions[name].ID()) + "'" }
	e.exec("UPDATE sessions SET timeout = " + e.now() + " + 5 WHERE id = " + stored("due"))
	sessions["due"] = e.load(sessions["due"].ID())
	e.exec("UPDATE sessions SET timeout = timeout + 1 WHERE id = " + stored("renewed since"))
	e.exec("UPDATE sessions SET version = version + 1 WHERE id = " + stored("changed since"))
	e.exec("UPDATE sessions SET timeout = " + e.now() + " - 1 WHERE id = " + stored("dead"))
	renewals := countRenewals(e)

	saved, each, err := entsession.SaveTogether(t.Context(), e.store, sessions)
	require.NoError(t, err)
	require.True(t, each)
	require.Equal(t, map[string]bool{"unchanged": true, "unchanged too": true, "renewed since": false, "due": true, "changed since": false, "dead": false}, saved)
	require.Equal(t, 1, renewals())
	sessions["renewed since"].Data = []byte("renewed since")
	require.NoError(t, e.store.Save(t.Context(), sessions["renewed since"]), "it finds out, and tries again")
	saved["renewed since"] = true
	for name, s := range sessions {
		if saved[name] {
			there := e.load(s.ID())
			require.Equal(t, name, string(there.Data))
			require.Greater(t, time.Until(there.Expires()), 29*time.Minute)
		}
	}
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

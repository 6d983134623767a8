package conformance

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/ent/session"
)

// lostAnswers are the changes, each with what must be true after it. Each calls cut where answers may be lost from then on.
var lostAnswers = map[string]func(e *env, store *entsession.Store, s *entsession.Session, cut func()) error{
	"Create": func(e *env, store *entsession.Store, s *entsession.Session, cut func()) error {
		cut()
		fresh, err := store.Create(ctx, []byte("x"), entsession.Set(session.FieldSubject, "fresh"))
		if err != nil {
			return err
		}
		require.EqualValues(e, 1, e.int("SELECT count(*) FROM sessions WHERE subject = 'fresh'"))
		require.Equal(e, e.int("SELECT timeout FROM sessions WHERE id = $1", fresh.Key()), fresh.Expires().Unix())
		require.WithinDuration(e, s.Created(), fresh.Created(), waitFor)
		return store.Save(ctx, fresh)
	},
	"Save": func(e *env, store *entsession.Store, s *entsession.Session, cut func()) error {
		cut()
		s.Data = []byte("saved")
		if err := store.Save(ctx, s, entsession.Set(session.FieldSubject, "saved")); err != nil {
			return err
		}
		require.Equal(e, "saved", e.text("SELECT data FROM sessions WHERE id = $1", s.Key()))
		return store.Save(ctx, s)
	},
	"Update": func(e *env, store *entsession.Store, s *entsession.Session, cut func()) error {
		cut()
		got, err := store.Update(ctx, s.ID(), increment)
		if err != nil {
			return err
		}
		require.Equal(e, "1", e.text("SELECT data FROM sessions WHERE id = $1", s.Key()))
		return store.Save(ctx, got)
	},
	"UpdateWithLock": func(e *env, store *entsession.Store, s *entsession.Session, cut func()) error {
		runs := 0
		got, err := store.Update(ctx, s.ID(), func(s *entsession.Session) error {
			if runs++; runs <= 3 { // three conflicts, and it takes the lock
				e.exec("UPDATE sessions SET version = version + 1 WHERE id = $1", s.Key())
			}
			if runs == 3 {
				cut()
			}
			return increment(s)
		})
		if err != nil {
			return err
		}
		require.Equal(e, "1", e.text("SELECT data FROM sessions WHERE id = $1", s.Key()))
		return store.Save(ctx, got)
	},
	"Rotate": func(e *env, store *entsession.Store, s *entsession.Session, cut func()) error {
		cut()
		return rotated(e, store, s)
	},
	"RotateWithColumns": func(e *env, store *entsession.Store, s *entsession.Session, cut func()) error {
		cut()
		return rotated(e, store, s, entsession.Set(session.FieldSubject, s.Key()))
	},
	"Touch": func(e *env, store *entsession.Store, s *entsession.Session, cut func()) error {
		e.exec("UPDATE sessions SET timeout = {now} + 100 WHERE id = $1", s.Key())
		cut()
		if err := store.Touch(ctx, s.ID()); err != nil {
			return err
		}
		require.EqualValues(e, 1, e.int("SELECT count(*) FROM sessions WHERE id = $1 AND timeout > {now} + 1000", s.Key()))
		return nil
	},
	"Delete": func(e *env, store *entsession.Store, s *entsession.Session, cut func()) error {
		cut()
		if err := store.Delete(ctx, s.ID()); err != nil {
			return err
		}
		require.False(e, e.live(store, s.ID()))
		return nil
	},
	"Conflict": func(e *env, store *entsession.Store, s *entsession.Session, cut func()) error {
		e.exec("UPDATE sessions SET version = version + 1 WHERE id = $1", s.Key())
		cut()
		require.Equal(e, entsession.ErrConflict, store.Save(ctx, s))
		return nil
	},
	"Revoke": func(e *env, store *entsession.Store, s *entsession.Session, cut func()) error {
		cut()
		if _, err := store.Revoke(ctx, session.ID(s.Key())); err != nil {
			return err
		}
		require.False(e, e.live(store, s.ID()))
		return nil
	},
	"Purge": func(e *env, store *entsession.Store, s *entsession.Session, cut func()) error {
		e.expire(s)
		cut()
		if _, err := store.Purge(ctx); err != nil {
			return err
		}
		require.Zero(e, e.int("SELECT count(*) FROM sessions"))
		return nil
	},
}

func rotated(e *env, store *entsession.Store, s *entsession.Session, cols ...entsession.Column) error {
	fresh, err := store.Rotate(ctx, s.ID(), cols...)
	if err != nil {
		return err
	}
	require.False(e, e.live(store, s.ID()))
	require.True(e, e.live(store, fresh.ID()))
	require.EqualValues(e, 1, e.int("SELECT count(*) FROM sessions WHERE timeout > 0"), "one took the other's place")
	for _, c := range cols {
		require.Equal(e, c.Value(), e.text("SELECT subject FROM sessions WHERE id = $1", fresh.Key()))
	}
	return store.Save(ctx, fresh)
}

// testLostAnswers: whichever answer of the server's is lost with its connection, each change succeeds, and happens once.
func testLostAnswers(t *testing.T, e *env) {
	direct := e.store()
	store, p := e.through(func(c *entsession.Config) { c.MaxOpenConns = 1 })
	for name, change := range lostAnswers {
		first := 1
		if name == "UpdateWithLock" || name == "Conflict" {
			first = 2 // the answer "nothing changed" to a guarded write, nobody could tell from a success that someone has built on
		}
		for n, taken := first, true; taken; n++ {
			e.exec("DELETE FROM sessions")
			// Once undisturbed, so that there is a connection that knows the statements: every request is one of the change's own then.
			require.NoError(t, change(e, store, e.create(direct, "0"), func() {}), name)
			e.exec("DELETE FROM sessions")
			err := change(e, store, e.create(direct, "0"), func() { p.takeAnswer(n, true) })
			taken = p.takeNone()
			require.NoError(t, err, "%s: answer %d", name, n)
			require.Less(t, n, 50, name)
		}
	}
}

// testSilence: the server stops answering in the middle, and the connection stays open. Every wait obeys its context.
func testSilence(t *testing.T, e *env) {
	direct := e.store()
	store, p := e.through(func(c *entsession.Config) { c.MaxOpenConns = 1 })
	for n, taken := 1, true; taken; n++ {
		s := e.create(direct, "x")
		require.True(t, e.live(store, s.ID()))
		brief, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
		done := make(chan error, 1)
		p.takeAnswer(n, false)
		go func() {
			_, err := store.Rotate(brief, s.ID(), entsession.Set(session.FieldSubject, "42"))
			done <- err
		}()
		select {
		case err := <-done:
			if taken = p.takeNone(); taken {
				require.ErrorIs(t, err, context.DeadlineExceeded, "answer %d", n)
			}
		case <-time.After(waitFor):
			t.Errorf("answer %d: Rotate still waits", n)
			p.sever()
			<-done
			taken = false
		}
		cancel()
		require.Less(t, n, 50)
	}
}

// testCommitUnderWay: the connection breaks while the server is still busy with the commit, and the retry comes before it is done.
func testCommitUnderWay(t *testing.T, e *env) {
	direct := e.store()
	s := e.create(direct, "x")
	e.exec("CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN PERFORM pg_advisory_xact_lock_shared(42); RETURN NULL; END $f$")
	e.exec("CREATE CONSTRAINT TRIGGER gate AFTER INSERT ON sessions DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE PROCEDURE gate()")
	gate, err := e.admin.Conn(ctx)
	require.NoError(t, err)
	defer gate.Close()
	_, err = gate.ExecContext(ctx, "SELECT pg_advisory_lock(42)")
	require.NoError(t, err)
	waiting := func(n int64) {
		require.Eventually(t, func() bool {
			return e.int("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") == n
		}, waitFor, tick)
	}

	store, p := e.through()
	rotated := make(chan *entsession.Session)
	go func() {
		fresh, err := store.Rotate(ctx, s.ID())
		if err != nil {
			t.Errorf("Rotate: %v", err)
		}
		rotated <- fresh
	}()
	waiting(1) // the commit, for the gate
	p.sever()
	waiting(2) // and the retry, for the row
	_, err = gate.ExecContext(ctx, "SELECT pg_advisory_unlock(42)")
	require.NoError(t, err)
	fresh := <-rotated
	require.NotNil(t, fresh)
	require.True(t, e.live(direct, fresh.ID()))
	require.False(t, e.live(direct, s.ID()))
}

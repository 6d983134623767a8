package conformance

import (
	"errors"
	"sync"
	"testing"

	entsql "entgo.io/ent/dialect/sql"
	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/ent/session"
)

// revocations end a session, each in its way.
var revocations = map[string]func(*entsession.Store, *entsession.Session) error{
	"Delete": func(s *entsession.Store, sess *entsession.Session) error { return s.Delete(ctx, sess.ID()) },
	"Rotate": func(s *entsession.Store, sess *entsession.Session) error {
		_, err := s.Rotate(ctx, sess.ID())
		return err
	},
	"Revoke": func(s *entsession.Store, sess *entsession.Session) error {
		n, err := s.Revoke(ctx, session.ID(sess.Key()))
		if err == nil && n > 1 {
			return errors.New("more than one session was revoked")
		}
		return err
	},
}

// writers may all be under way when a session is revoked.
var writers = map[string]func(*entsession.Store, *entsession.Session) error{
	"Save":  func(s *entsession.Store, sess *entsession.Session) error { return s.Save(ctx, sess) },
	"Touch": func(s *entsession.Store, sess *entsession.Session) error { return s.Touch(ctx, sess.ID()) },
	"Update": func(s *entsession.Store, sess *entsession.Session) error {
		_, err := s.Update(ctx, sess.ID(), func(sess *entsession.Session) error { sess.Data = append(sess.Data, '.'); return nil })
		return err
	},
	"Rotate": func(s *entsession.Store, sess *entsession.Session) error {
		_, err := s.Rotate(ctx, sess.ID())
		return err
	},
}

func testRevocationIsFinal(t *testing.T, e *env) {
	store, other := e.store(), e.open()
	for how, revoke := range revocations {
		for what, write := range writers {
			s := e.create(store, "x")
			loaded, err := other.Load(ctx, s.ID())
			require.NoError(t, err)
			require.NoError(t, revoke(store, s), how)
			require.Equal(t, entsession.ErrNotFound, write(other, loaded), "%s after %s", what, how)
			require.False(t, e.live(store, s.ID()), "%s after %s", what, how)
		}
	}
	// The tombstone is dead whatever the clock does: even one that stands at zero.
	s := e.create(store, "x")
	require.NoError(t, store.Delete(ctx, s.ID()))
	require.Negative(t, e.int("SELECT timeout FROM sessions WHERE id = $1", s.Key()))
}

// testRevocationRaces starts writers and a revocation at once. Whoever wins, once the revocation has returned the id is dead, and stays so.
func testRevocationRaces(t *testing.T, e *env) {
	store, other := e.store(), e.open()
	for how, revoke := range revocations {
		for round := range 15 {
			s := e.create(store, "x")
			loaded := map[string]*entsession.Session{}
			for what := range writers {
				var err error
				loaded[what], err = other.Load(ctx, s.ID())
				require.NoError(t, err)
			}
			start := make(chan struct{})
			var wg sync.WaitGroup
			for what, write := range writers {
				wg.Go(func() {
					<-start
					err := write(other, loaded[what])
					if err != nil && !errors.Is(err, entsession.ErrNotFound) && !errors.Is(err, entsession.ErrConflict) {
						t.Errorf("%s during %s: %v", what, how, err)
					}
				})
			}
			close(start)
			err := revoke(store, s)
			if how == "Rotate" && errors.Is(err, entsession.ErrNotFound) {
				err = nil // another Rotate was first
			}
			require.NoError(t, err)
			dead := !e.live(store, s.ID())
			wg.Wait()
			require.True(t, dead, "%s, round %d: loadable after it returned", how, round)
			require.False(t, e.live(store, s.ID()), "%s, round %d: a writer brought it back", how, round)
		}
	}
}

// testRevokeMeetsRotate: a session that gets a new id in the very moment its subject is signed out everywhere is signed out too.
func testRevokeMeetsRotate(t *testing.T, e *env) {
	store, other := e.store(), e.open()
	for round := range 40 {
		s := e.create(store, "x", entsession.Set(session.FieldSubject, "42"))
		start := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			<-start
			if _, err := other.Rotate(ctx, s.ID()); err != nil && !errors.Is(err, entsession.ErrNotFound) {
				t.Errorf("Rotate: %v", err)
			}
		})
		close(start)
		_, err := store.Revoke(ctx, session.Subject("42"))
		require.NoError(t, err)
		wg.Wait()
		n := e.int("SELECT count(*) FROM sessions WHERE subject = '42' AND timeout >= {now}")
		require.Zero(t, n, "round %d: a session outlived it", round)
	}
}

func testRotate(t *testing.T, e *env) {
	store := e.store()
	e.exec("ALTER TABLE sessions ADD COLUMN device varchar(40) NULL")
	s := e.create(store, "cart", entsession.Set(session.FieldSubject, "42"))
	e.exec("UPDATE sessions SET device = 'phone', created = created - 100") // a column the store hasn't seen, too
	fresh, err := store.Rotate(ctx, s.ID())
	require.NoError(t, err)
	require.NotEqual(t, s.ID(), fresh.ID())
	require.Equal(t, "cart", string(fresh.Data))
	subject, err := entsession.Get[string](fresh, session.FieldSubject)
	require.NoError(t, err)
	require.Equal(t, "42", subject)
	require.Equal(t, s.Created().Unix()-100, fresh.Created().Unix())
	require.Equal(t, "phone", e.text("SELECT device FROM sessions WHERE id = $1", fresh.Key()))

	require.False(t, e.live(store, s.ID()))
	before := fresh
	fresh, err = store.Rotate(ctx, fresh.ID(), entsession.Set(session.FieldSubject, "43"))
	require.NoError(t, err)
	require.Equal(t, "43", e.text("SELECT subject FROM sessions WHERE id = $1", fresh.Key()))
	require.Equal(t, "42", e.text("SELECT subject FROM sessions WHERE id = $1", before.Key()), "the tombstone is not rewritten")
	_, err = store.Rotate(ctx, fresh.ID(), entsession.Set("nope", "43"))
	require.ErrorContains(t, err, "nope")
	require.True(t, e.live(store, fresh.ID()), "an error leaves the old id as it was")
	require.EqualValues(t, 1, e.int("SELECT count(*) FROM sessions WHERE timeout >= {now}"))
	got, err := store.Load(ctx, fresh.ID())
	require.NoError(t, err)
	require.Equal(t, fresh.Data, got.Data)
	fresh.Data = []byte("saved with what Rotate gave")
	require.NoError(t, store.Save(ctx, fresh))
	require.Equal(t, entsession.ErrNotFound, store.Save(ctx, s))
}

func testRevoke(t *testing.T, e *env) {
	store := e.store()
	var ids []string
	for range 3 {
		ids = append(ids, e.create(store, "x", entsession.Set(session.FieldSubject, "42")).ID())
	}
	mine := e.create(store, "x", entsession.Set(session.FieldSubject, "42"))
	other := e.create(store, "x", entsession.Set(session.FieldSubject, "43"))
	n, err := store.Revoke(ctx, session.Subject("42"), session.IDNEQ(mine.Key()))
	require.NoError(t, err)
	require.Equal(t, 3, n)
	for _, id := range ids {
		require.False(t, e.live(store, id))
	}
	require.True(t, e.live(store, mine.ID()))
	require.True(t, e.live(store, other.ID()))
	n, err = store.Revoke(ctx, session.Subject("42"), session.IDNEQ(mine.Key()))
	require.NoError(t, err)
	require.Zero(t, n, "none is left")
	for _, empty := range []func(*entsql.Selector){nil, session.Or(), func(s *entsql.Selector) { s.Limit(1) }} {
		_, err = store.Revoke(ctx, session.Subject("42"), empty)
		require.ErrorContains(t, err, "predicate 2 of 2 is empty")
	}
	n, err = store.Revoke(ctx)
	require.NoError(t, err)
	require.Equal(t, 2, n)
	require.False(t, e.live(store, mine.ID()))
}

package sessiontest_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/ent/session"
	"github.com/entsession/entsession/sessiontest"
)

func TestNew(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	first, second := sessiontest.New(t), sessiontest.New(t)
	s, err := first.Create(ctx, []byte("x"))
	require.NoError(t, err)
	_, err = first.Load(ctx, s.ID())
	require.NoError(t, err)
	_, err = second.Load(ctx, s.ID())
	require.ErrorIs(t, err, entsession.ErrNotFound)
	require.NoError(t, first.Migrate(ctx), "nothing is pending")
	all, err := first.Migrations(ctx)
	require.NoError(t, err)
	for _, m := range all {
		require.True(t, m.Applied, m.Version)
	}
}

func TestAdvance(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	store, other := sessiontest.New(t), sessiontest.New(t)
	s, err := store.Create(ctx, nil)
	require.NoError(t, err)
	theirs, err := other.Create(ctx, nil)
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), s.Created(), 5*time.Second)
	sessiontest.Advance(t, store, 29*time.Minute)
	require.NoError(t, store.Touch(ctx, s.ID()))
	sessiontest.Advance(t, store, 29*time.Minute)
	_, err = store.Load(ctx, s.ID())
	require.NoError(t, err, "renewed")
	sessiontest.Advance(t, store, time.Hour)
	_, err = store.Load(ctx, s.ID())
	require.ErrorIs(t, err, entsession.ErrNotFound)
	_, err = other.Load(ctx, theirs.ID())
	require.NoError(t, err)
	late, err := store.Create(ctx, nil)
	require.NoError(t, err)
	require.WithinDuration(t, time.Now().Add(118*time.Minute), late.Created(), 5*time.Second)
	require.WithinDuration(t, sessiontest.Now(t, store), late.Created(), 5*time.Second)
	n, err := store.Purge(ctx)
	require.NoError(t, err)
	require.Equal(t, 1, n)
}

func TestSignIn(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	store := sessiontest.New(t)
	ann, bob := sessiontest.SignIn(t, store, "ann"), sessiontest.SignInWith(t, store, "bob", []byte("data"))
	s, err := store.Load(ctx, bob.Value)
	require.NoError(t, err)
	require.Equal(t, "data", string(s.Data))
	subject, err := entsession.Get[string](s, session.FieldSubject)
	require.NoError(t, err)
	require.Equal(t, "bob", subject)
	sessiontest.Expire(t, store, ann.Value)
	_, err = store.Load(ctx, ann.Value)
	require.ErrorIs(t, err, entsession.ErrNotFound)
	_, err = store.Load(ctx, bob.Value)
	require.NoError(t, err)
}

func BenchmarkNew(b *testing.B) {
	var n atomic.Int64
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			func() {
				t := &scope{TB: b}
				defer t.end()
				store := sessiontest.New(t)
				if _, err := store.Create(b.Context(), nil); err != nil {
					b.Error(err)
				}
				n.Add(1)
			}()
		}
	})
}

// scope is a test within a test.
type scope struct {
	testing.TB
	cleanups []func()
}

func (s *scope) Cleanup(f func()) { s.cleanups = append(s.cleanups, f) }

func (s *scope) end() {
	for i := len(s.cleanups) - 1; i >= 0; i-- {
		s.cleanups[i]()
	}
}

package conformance

import (
	"errors"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
)

func testConflict(t *testing.T, e *env) {
	store, other := e.store(), e.open()
	s := e.create(store, "0")
	a, err := store.Load(ctx, s.ID())
	require.NoError(t, err)
	b, err := other.Load(ctx, s.ID())
	require.NoError(t, err)
	a.Data, b.Data = []byte("a"), []byte("b")
	require.NoError(t, store.Save(ctx, a))
	require.Equal(t, entsession.ErrConflict, other.Save(ctx, b))
	require.Equal(t, entsession.ErrConflict, other.Save(ctx, b), "again")
	got, err := store.Load(ctx, s.ID())
	require.NoError(t, err)
	require.Equal(t, "a", string(got.Data))

	// A column alone is a change too, and one by hand that keeps the version is not.
	require.NoError(t, store.Save(ctx, a, entsession.Set("subject", "42")))
	require.Equal(t, entsession.ErrConflict, store.Save(ctx, got))
	require.NoError(t, other.Touch(ctx, s.ID()))
	require.NoError(t, store.Save(ctx, a), "a touch is no conflict")
}

func increment(s *entsession.Session) error {
	n, err := strconv.Atoi(string(s.Data))
	if err != nil {
		return err
	}
	s.Data = strconv.AppendInt(nil, int64(n+1), 10)
	return nil
}

func countUp(t *testing.T, e *env, id string, stores ...*entsession.Store) {
	const callers, each = 8, 10
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			for range each {
				if _, err := stores[i%len(stores)].Update(ctx, id, increment); err != nil {
					t.Errorf("Update: %v", err)
				}
			}
		})
	}
	wg.Wait()
	got, err := stores[0].Load(ctx, id)
	require.NoError(t, err)
	require.Equal(t, strconv.Itoa(callers*each), string(got.Data))
}

func testCounterIsExact(t *testing.T, e *env) {
	store := e.store()
	countUp(t, e, e.create(store, "0").ID(), store, e.open())
}

func testUpdateError(t *testing.T, e *env) {
	store := e.store()
	s := e.create(store, "x")
	mine := errors.New("mine")
	_, err := store.Update(ctx, s.ID(), func(s *entsession.Session) error {
		s.Data = []byte("y")
		s.Set(entsession.Set("subject", "42"))
		return mine
	})
	require.Equal(t, mine, err, "as it is")
	got, err := store.Load(ctx, s.ID())
	require.NoError(t, err)
	require.Equal(t, "x", string(got.Data))

	got, err = store.Update(ctx, s.ID(), func(s *entsession.Session) error {
		s.Data = []byte("\x00 binary")
		s.Set(entsession.Set("subject", "42"))
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, "\x00 binary", string(got.Data))
	subject, err := entsession.Get[string](got, "subject")
	require.NoError(t, err)
	require.Equal(t, "42", subject)
	require.Equal(t, "42", e.text("SELECT subject FROM sessions WHERE id = $1", s.Key()))
}

// testSharedSession: two goroutines that save one *Session are served one after the other.
func testSharedSession(t *testing.T, e *env) {
	store := e.store()
	s := e.create(store, "x")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			if err := store.Save(ctx, s, entsession.Set("subject", strconv.Itoa(i))); err != nil {
				t.Errorf("Save: %v", err)
			}
		})
	}
	wg.Wait()
	subject, err := entsession.Get[string](s, "subject")
	require.NoError(t, err)
	require.Equal(t, subject, e.text("SELECT subject FROM sessions WHERE id = $1", s.Key()), "the last one saved")
}

// testCloseDuringCalls: whoever is under way when the store is closed finishes or hears that it is closed, and nothing is left behind,
// which the leak check at the end of the run sees.
func testCloseDuringCalls(t *testing.T, e *env) {
	e.store()
	for range 5 {
		store := e.open(func(c *entsession.Config) {
			c.DisableAutopurge, c.PurgeInterval, c.Rand = false, -1, func() float64 { return 0 }
		})
		s := e.create(store, "0")
		begun := make(chan struct{}, 8)
		var wg sync.WaitGroup
		for range cap(begun) {
			wg.Go(func() {
				for n := 0; ; n++ {
					_, err := store.Update(ctx, s.ID(), increment)
					if n == 0 {
						begun <- struct{}{}
					}
					if err != nil {
						if err != entsession.ErrClosed {
							t.Errorf("Update: %v", err)
						}
						return
					}
				}
			})
		}
		<-begun
		require.NoError(t, store.Close())
		wg.Wait()
	}
}

// testPoolOfOne: no call needs a second connection while it holds one.
func testPoolOfOne(t *testing.T, e *env) {
	store := e.store(func(c *entsession.Config) { c.MaxOpenConns = 1 })
	id := e.create(store, "0").ID()
	countUp(t, e, id, store)
	s, err := store.Rotate(ctx, id)
	require.NoError(t, err)
	for sess, err := range store.List(ctx) {
		require.NoError(t, err)
		require.NoError(t, store.Save(ctx, sess), "in the loop's body")
	}
	require.NoError(t, store.Delete(ctx, s.ID()))
	_, err = store.Purge(ctx)
	require.NoError(t, err)
	require.NoError(t, store.Migrate(ctx))
}

// testSurvivesKilledConnections: with every pooled connection killed on the server's side, the next calls succeed at once.
func testSurvivesKilledConnections(t *testing.T, e *env) {
	store := e.store()
	s := e.create(store, "0")
	super := e.db.Super(t)
	for range 3 {
		killAll(t, e, super)
		_, err := store.Update(ctx, s.ID(), increment)
		require.NoError(t, err)
		killAll(t, e, super)
		require.NoError(t, store.Touch(ctx, s.ID()))
		killAll(t, e, super)
		s2, err := store.Load(ctx, s.ID())
		require.NoError(t, err)
		killAll(t, e, super)
		require.NoError(t, store.Save(ctx, s2))
		killAll(t, e, super)
		e.create(store, "another")
		killAll(t, e, super)
		s, err = store.Rotate(ctx, s.ID())
		require.NoError(t, err)
	}
	got, err := store.Load(ctx, s.ID())
	require.NoError(t, err)
	require.Equal(t, "3", string(got.Data))
}

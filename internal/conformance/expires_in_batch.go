package conformance

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
)

// testExpiresInBatch: MySQL's batches lock their rows first, and write them then. In between, the second ends in which a session of the batch was still live.
// What the others asked for is done; a Touch of that one says that it is gone, and no hook hears that a Delete has ended it.
func testExpiresInBatch(t *testing.T, e *env) {
	if e.mode.Name == "alone" {
		return
	}
	look := e.store()
	for _, what := range []string{"delete", "touch"} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			e := &env{T: t, db: e.db, admin: e.admin, mode: e.mode}
			// The request before which the batch is held is found by trying; and where the sessions' time was up before they were locked, they get more.
			for lasts := 2; ; lasts *= 2 {
				for n := 2; n <= 12; n++ {
					if e.expiresInBatch(look, what, n, lasts) {
						return
					}
				}
				require.Less(t, lasts, 60, "no batch ever had those locked that are about to expire")
			}
		})
	}
}

// expiresInBatch holds a store before the nth request of a crowd. It tells whether that was the one which writes the locked rows.
func (e *env) expiresInBatch(look *entsession.Store, what string, n, lasts int) bool {
	e.Helper()
	var mu sync.Mutex
	told := map[string]bool{} // the sessions that a hook heard of
	store := e.gated(func(c *entsession.Config) {
		c.MaxOpenConns, c.StatementTimeout = 1, -1
		c.Hooks.OnRevoke = func(event entsession.Event) {
			mu.Lock()
			defer mu.Unlock()
			told[event.Key] = true
		}
	})
	var sessions []*entsession.Session
	for i := range 6 {
		s := e.create(look, "x")
		sessions = append(sessions, got0(e.T, look, s.ID()))
		after := 600 // live, and a Touch is due
		if i%2 == 1 {
			after = lasts
		}
		e.exec(fmt.Sprintf("UPDATE sessions SET timeout = {now} + %d WHERE id = $1", after), s.Key())
	}
	keys := func(odd int) (all []any) {
		for i, s := range sessions {
			if i%2 == odd {
				all = append(all, s.Key())
			}
		}
		return all
	}
	short, long := keys(1), keys(0)
	warm := e.create(look, "x")
	require.NoError(e, store.Touch(ctx, warm.ID()))

	tx, err := store.Client().Tx(ctx) // has the one connection, so that the calls come together
	require.NoError(e, err)
	waiting := func(n int) bool {
		found := 0
		for _, l := range store.Stats().Lanes {
			found += l.InFlight + l.Queue
		}
		return found == n
	}
	require.Eventually(e, func() bool { return waiting(0) }, waitFor, tick)
	errs := make([]error, len(sessions))
	var calls sync.WaitGroup
	for i, s := range sessions {
		calls.Go(func() {
			if what == "delete" {
				errs[i] = store.Delete(ctx, s.ID())
			} else {
				errs[i] = store.Touch(ctx, s.ID())
			}
		})
		require.Eventually(e, func() bool { return waiting(i + 1) }, waitFor, tick)
	}
	g := newGate(n, false)
	defer g.letGo()
	store.hold(g)
	require.NoError(e, tx.Rollback()) // the first request
	done := make(chan bool)
	go func() {
		calls.Wait()
		close(done)
	}()
	found := false
	select {
	case <-g.held:
		// Rows that stay locked between two requests are those of a batch; what is held first is its write.
		free := e.int("SELECT count(*) FROM (SELECT id FROM sessions WHERE id IN (?, ?, ?) AND timeout >= {now} FOR UPDATE SKIP LOCKED) AS free", short...)
		live := e.int("SELECT count(*) FROM sessions WHERE id IN (?, ?, ?) AND timeout >= {now}", short...)
		if found = free < live; found {
			require.Eventually(e, func() bool {
				return e.int("SELECT count(*) FROM sessions WHERE id IN (?, ?, ?) AND timeout >= {now}", short...) == 0
			}, time.Minute, 50*time.Millisecond)
		}
		g.letGo()
	case <-done:
	}
	<-done
	require.NoError(e, store.Close()) // the hooks have heard of everything now

	for i, s := range sessions {
		live := e.int("SELECT count(*) FROM sessions WHERE id = ? AND timeout >= {now}", s.Key()) > 0
		ended := e.int("SELECT count(*) FROM sessions WHERE id = ? AND timeout < 0", s.Key()) > 0
		switch what {
		case "delete":
			require.NoError(e, errs[i])
			require.False(e, live)
			mu.Lock()
			require.Equal(e, ended, told[s.Key()], "a session was ended, or had expired, and that is what a hook hears")
			mu.Unlock()
		case "touch":
			require.Equal(e, live, errs[i] == nil, "session %d: the answer is %v, and it lives: %v", i, errs[i], live)
			if errs[i] != nil {
				require.Equal(e, entsession.ErrNotFound, errs[i])
			}
		}
	}
	if found {
		want := "timeout < 0"
		if what == "touch" {
			want = "timeout > {now} + 600"
		}
		require.EqualValues(e, len(long), e.int("SELECT count(*) FROM sessions WHERE id IN (?, ?, ?) AND "+want, long...), "what the others asked for is done")
	}
	return found
}

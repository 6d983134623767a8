package conformance

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
)

// testExpiresUnderWay: a session expires between two requests of a call, whichever they are. The call has renewed it, and says so, or finds it gone.
func testExpiresUnderWay(t *testing.T, e *env) {
	if e.another() {
		return
	}
	look := e.store()
	type held struct {
		what string
		n    int
		s    *entsession.Session
		gate *gate
		done chan error
	}
	var all []*held
	for _, call := range callsUnderWay {
		if !call.writes || call.ends {
			continue
		}
		for n := 1; ; n++ {
			store := e.gated(func(c *entsession.Config) { c.MaxOpenConns, c.StatementTimeout = 1, -1 }) // it is held for seconds
			_, err := call.run(e, store.Store, got0(t, look, e.create(look, "x", entsession.Set("subject", "42")).ID()), func() {})
			require.NoError(t, err)
			s := got0(t, look, e.create(look, "x", entsession.Set("subject", "42")).ID())
			h := &held{call.name, n, s, newGate(n, false), make(chan error, 1)}
			defer h.gate.letGo()
			e.exec("UPDATE sessions SET timeout = {now} + 3 WHERE id = $1", s.Key())
			go func() {
				fresh, err := call.run(e, store.Store, s, func() { store.hold(h.gate) })
				if fresh != nil {
					h.s = fresh
				}
				h.done <- err
			}()
			select {
			case <-h.gate.held:
			case err := <-h.done: // it has fewer requests
				if err != nil {
					require.Equal(t, entsession.ErrNotFound, err)
				}
				h = nil
			}
			if h == nil {
				require.Greater(t, n, 1)
				break
			}
			all = append(all, h)
		}
	}
	require.Eventually(t, func() bool {
		for _, h := range all {
			if e.int("SELECT count(*) FROM sessions WHERE id = $1 AND timeout >= {now}", h.s.Key()) > 0 {
				return false
			}
		}
		return true
	}, waitFor, 50*time.Millisecond)
	var wg sync.WaitGroup
	for _, h := range all {
		h.gate.letGo()
		wg.Go(func() {
			err := <-h.done
			if live := e.int("SELECT count(*) FROM sessions WHERE id = $1 AND timeout >= {now}", h.s.Key()) > 0; (err == nil) != live {
				t.Errorf("%s, request %d: the answer is %v, and the session lives: %v", h.what, h.n, err, live)
			}
		})
	}
	wg.Wait()
}

package conformance

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
)

// testPurgeSilence: as testSilence, for a purge, which on MySQL has a lock to give back before it leaves the connection to others.
func testPurgeSilence(t *testing.T, e *env) {
	direct := e.store()
	store, p := e.through(func(c *entsession.Config) { c.StatementTimeout = 5 * time.Second })
	for n, taken := 1, true; taken; n++ {
		_, err := store.Purge(ctx) // so that there is a connection that knows the statements
		require.NoError(t, err)
		e.expire(e.create(direct, "x"))
		brief, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
		done := make(chan error, 1)
		p.takeAnswer(n, false)
		began := time.Now()
		go func() {
			_, err := store.Purge(brief)
			done <- err
		}()
		select {
		case err := <-done:
			if taken = p.takeNone(); taken {
				require.ErrorIs(t, err, context.DeadlineExceeded, "answer %d", n)
				require.Less(t, time.Since(began), 1500*time.Millisecond, "answer %d", n)
			}
		case <-time.After(waitFor):
			t.Errorf("answer %d: Purge still waits", n)
			p.sever()
			<-done
			taken = false
		}
		cancel()
		require.Less(t, n, 50)
	}
}

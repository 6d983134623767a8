package conformance

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
)

// testCloseTwice: whoever calls Close, all is done when it returns.
func testCloseTwice(t *testing.T, e *env) {
	e.store()
	begun, release := make(chan bool, 1), make(chan bool)
	store := e.stopping(&stops{beforeBegin: func(context.Context) {
		begun <- true
		<-release
	}}, func(c *entsession.Config) { c.DisableAutopurge, c.Rand = false, func() float64 { return 0 } })
	require.False(t, e.live(store, strings.Repeat("a", 43)))
	<-begun // a purge, which Close waits for
	closed := make(chan error, 2)
	for range cap(closed) {
		go func() { closed <- store.Close() }()
	}
	require.Eventually(t, func() bool { _, err := store.Load(ctx, "x"); return err == entsession.ErrClosed }, waitFor, tick)
	require.Never(t, func() bool { return len(closed) > 0 }, 50*time.Millisecond, tick)
	close(release)
	for range cap(closed) {
		require.NoError(t, <-closed)
	}
	require.NoError(t, store.Close())
}

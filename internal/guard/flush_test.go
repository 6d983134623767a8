package guard

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestFlushIsLimited(t *testing.T) {
	t.Parallel()
	c := New(nil, Options{})
	require.Zero(t, c.flushed.Load(), "no connection is too old at first")
	c.flush()
	first := c.flushed.Load()
	require.Positive(t, first)
	c.flush()
	require.Equal(t, first, c.flushed.Load(), "too soon")
	c.start = c.start.Add(-flushInterval)
	c.flush()
	require.Greater(t, c.flushed.Load(), first)
}

func TestIdle(t *testing.T) {
	t.Parallel()
	now := time.Now()
	require.Equal(t, time.Minute, idle(now.Add(-time.Minute), now))
	require.Equal(t, time.Minute, idle(now.Round(0).Add(-time.Minute), now.Round(0)), "by the wall clock")
}

package measure

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSpread(t *testing.T) {
	t.Parallel()
	require.Equal(t, Spread{}, SpreadOf(nil))
	require.Equal(t, Spread{7, 7, 7}, SpreadOf([]float64{7}))
	require.Equal(t, Spread{Median: 3, P25: 2, P75: 4}, SpreadOf([]float64{5, 1, 4, 2, 3}))
	require.Equal(t, Spread{Median: 2.5, P25: 1.75, P75: 3.25}, SpreadOf([]float64{4, 3, 2, 1}))
	values := []float64{3, 1, 2}
	SpreadOf(values)
	require.Equal(t, []float64{3, 1, 2}, values, "left as it was")
}

// TestRatio: the median is the ratio of the medians, the range that of the rounds.
func TestRatio(t *testing.T) {
	t.Parallel()
	rounds := func(ops ...int64) (out []Round) {
		for _, n := range ops {
			out = append(out, Round{Ops: n, Seconds: 2})
		}
		return out
	}
	got := Ratio(rounds(200, 400, 900), rounds(100, 100, 300), Round.Throughput)
	require.Equal(t, Spread{Median: 4, P25: 2.5, P75: 3.5}, got)
	require.Equal(t, Spread{}, Ratio(rounds(1), nil, Round.Throughput))
	require.Equal(t, Spread{}, Ratio(rounds(1), rounds(0), Round.Throughput), "no division by zero")
}

// TestRound: what is counted is what the callers did within the window, and what it cost.
func TestRound(t *testing.T) {
	const each = 2 * time.Millisecond
	var all atomic.Int64
	sink := make([][10]*[64]byte, 4)
	calls := make([]func() error, len(sink))
	for i := range calls {
		calls[i] = func() error {
			all.Add(1)
			for n := range sink[i] {
				sink[i][n] = new([64]byte)
			}
			time.Sleep(each)
			return nil
		}
	}
	w := Window{Warmup: 50 * time.Millisecond, Length: 200 * time.Millisecond}
	r, err := w.Round(t.Context(), calls)
	require.NoError(t, err)
	require.InDelta(t, w.Length.Seconds(), r.Seconds, 0.15)
	require.Less(t, r.Ops, all.Load(), "not those of the warm-up")
	require.Positive(t, r.Ops)
	require.LessOrEqual(t, r.Throughput(), float64(len(calls))/each.Seconds())
	require.GreaterOrEqual(t, r.P50, float64(each.Microseconds())*0.98, "two digits")
	require.GreaterOrEqual(t, r.P99, r.P50)
	require.Less(t, r.CPU, float64(each.Microseconds()), "it sleeps")
	require.InDelta(t, 10, r.Allocs, 5)
	require.InDelta(t, 640, r.Bytes, 400)
}

// TestOwnCost: what measuring allocates would be taken for the store's.
func TestOwnCost(t *testing.T) {
	r, err := Window{Warmup: time.Millisecond, Length: 100 * time.Millisecond}.Round(t.Context(), []func() error{func() error { return nil }})
	require.NoError(t, err)
	require.Less(t, r.Allocs, 0.01)
	require.Less(t, r.CPU, 5.0, "microseconds")
}

func TestRoundEndsWithAnError(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	var n atomic.Int64
	call := func() error {
		if n.Add(1) == 100 {
			return broken
		}
		time.Sleep(100 * time.Microsecond)
		return nil
	}
	begin := time.Now()
	_, err := Window{Warmup: time.Minute, Length: time.Minute}.Round(t.Context(), []func() error{call, call})
	require.ErrorIs(t, err, broken)
	require.Less(t, time.Since(begin), 30*time.Second)
}

func TestRoundEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Window{Warmup: time.Minute, Length: time.Minute}.Round(ctx, []func() error{func() error { return nil }})
	require.ErrorIs(t, err, context.Canceled)
}

func TestRoundWithoutACall(t *testing.T) {
	t.Parallel()
	call := func() error { time.Sleep(200 * time.Millisecond); return nil }
	_, err := Window{Warmup: time.Millisecond, Length: time.Millisecond}.Round(t.Context(), []func() error{call})
	require.ErrorIs(t, err, ErrNothing)
}

func TestFlush(t *testing.T) {
	t.Parallel()
	s, err := Flush(t.TempDir())
	require.NoError(t, err)
	require.Positive(t, s.Median)
	_, err = Flush("/nonexistent")
	require.Error(t, err)
}

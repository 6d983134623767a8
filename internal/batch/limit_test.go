package batch

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPlaces(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		took time.Duration
		want int
	}{{10 * time.Microsecond, 3}, {100 * time.Microsecond, 3}, {300 * time.Microsecond, 5}, {time.Millisecond, 16}, {time.Second, 16}} {
		l := newLimit(3, 16, 0, 0, 60*time.Microsecond)
		at := time.Now()
		for range 100 {
			l.seen(c.took, at)
			l.seen(c.took*20, at) // big batches, a busy moment
			at = at.Add(30 * time.Millisecond)
		}
		require.Equal(t, c.want, l.places, c.took)
	}
	// The database moves away: two windows later that is known.
	l := newLimit(3, 16, 0, 0, 60*time.Microsecond)
	at := time.Now()
	var places []int
	for i := range 100 {
		took := 100 * time.Microsecond
		if i >= 50 {
			took = time.Millisecond
		}
		l.seen(took, at)
		at = at.Add(50 * time.Millisecond)
		if i%10 == 9 {
			places = append(places, l.places)
		}
	}
	require.Equal(t, 3, places[4])
	require.Equal(t, 16, places[9])
	require.True(t, slices.IsSorted(places))
	require.Equal(t, 1, newLimit(3, 1, 0, 0, time.Second).places, "never more than the most")
}

// TestCrowd: how many are in flight, for a number of calls in the lane.
func TestCrowd(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		few, fill int
		took      time.Duration
		want      map[int]int
	}{
		"each goes alone while there are connections":  {0, 0, 50 * time.Microsecond, map[int]int{1: 16, 16: 16, 17: 3, 400: 3}},
		"near the database a few":                      {9, 0, 50 * time.Microsecond, map[int]int{1: 16, 9: 16, 10: 3, 400: 3}},
		"far from it all the same":                     {9, 0, time.Millisecond, map[int]int{1: 16, 16: 16, 400: 16}},
		"changes, near: one, until it is well filled":  {6, 16, 50 * time.Microsecond, map[int]int{1: 16, 6: 16, 7: 1, 31: 1, 32: 2, 48: 3, 400: 3}},
		"changes, far: each goes alone":                {6, 16, time.Millisecond, map[int]int{6: 16, 16: 16, 17: 16}},
		"changes, a bit away: still one":               {6, 16, 300 * time.Microsecond, map[int]int{6: 16, 7: 1, 64: 4, 400: 5}},
		"never more than the connections, however few": {40, 0, 50 * time.Microsecond, map[int]int{16: 16, 17: 3}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLimit(3, 16, c.few, c.fill, 60*time.Microsecond)
			l.seen(c.took, time.Now())
			for crowd, want := range c.want {
				require.Equal(t, want, l.of(crowd, false), crowd)
			}
			require.Equal(t, 16, l.of(16, true), "wary")
		})
	}
}

// TestSmallPool: of four connections, all are used when the database is far.
func TestSmallPool(t *testing.T) {
	t.Parallel()
	l := newLimit(2, 4, 6, 16, 60*time.Microsecond)
	l.seen(50*time.Microsecond, time.Now())
	require.Equal(t, 1, l.of(10, false))
	l = newLimit(2, 4, 6, 16, 60*time.Microsecond)
	l.seen(20*time.Millisecond, time.Now())
	require.Equal(t, 4, l.of(10, false))
}

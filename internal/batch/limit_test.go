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
		l := newLimit(3, 16, 60*time.Microsecond)
		at := time.Now()
		for range 100 {
			l.seen(c.took, at)
			l.seen(c.took*20, at) // big batches, a busy moment
			at = at.Add(30 * time.Millisecond)
		}
		require.Equal(t, c.want, l.places, c.took)
	}
	// The database moves away: two windows later that is known.
	l := newLimit(3, 16, 60*time.Microsecond)
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
	require.Equal(t, 1, newLimit(3, 1, time.Second).places, "never more than the most")
}

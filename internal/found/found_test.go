package found_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/internal/found"
)

func TestFound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := found.New()
		request, end := context.WithCancel(t.Context())
		another, endAnother := context.WithCancel(t.Context())
		defer endAnother()

		_, known := f.Get(request, "a", false)
		require.False(t, known)
		f.Add(request, "a", 1, true)
		type key struct{}
		loaded, known := f.Get(context.WithValue(request, key{}, 1), "a", false)
		require.True(t, known)
		require.Equal(t, 1, loaded)
		f.Add(request, "a", 2, true)
		loaded, _ = f.Get(request, "a", false)
		require.Equal(t, 2, loaded)
		loaded, known = f.Get(another, "a", false)
		require.True(t, known, "found by someone")
		require.Nil(t, loaded, "but not by this request")
		_, known = f.Get(request, "b", false)
		require.False(t, known)

		// A request may take as long as it likes.
		time.Sleep(3 * found.Retention)
		f.Add(another, "x", nil, false)
		f.Add(another, "y", nil, false)
		time.Sleep(3 * found.Retention)
		f.Add(another, "x", nil, false)
		_, known = f.Get(another, "a", false)
		require.False(t, known, "forgotten")
		loaded, known = f.Get(request, "a", false)
		require.True(t, known)
		require.Equal(t, 2, loaded)

		// What comes straight from the server is known by what is under way.
		straight, endStraight := context.WithCancel(t.Context())
		defer endStraight()
		loaded, known = f.Get(straight, "a", true)
		require.True(t, known, "it may be the same request")
		require.Nil(t, loaded)
		_, known = f.Get(straight, "x", true)
		require.False(t, known, "found, but not by a request that is under way")
		bounded, endBounded := context.WithTimeout(straight, time.Hour)
		defer endBounded()
		for _, ctx := range []context.Context{bounded, context.WithoutCancel(straight)} {
			_, known = f.Get(ctx, "x", true)
			require.True(t, known, "may have been made of a request that is over")
		}

		end()
		_, known = f.Get(straight, "a", true)
		require.False(t, known, "over")
		synctest.Wait()
		_, known = f.Get(request, "a", false)
		require.False(t, known)

		// Without a request, it is remembered for a while.
		f.Add(context.Background(), "c", 3, true)
		time.Sleep(found.Retention)
		f.Add(context.Background(), "d", nil, false)
		loaded, known = f.Get(context.Background(), "c", false)
		require.True(t, known)
		require.Nil(t, loaded)
	})
}

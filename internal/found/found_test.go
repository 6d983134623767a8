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

		_, known := f.Get(request, "a")
		require.False(t, known)
		f.Add(request, "a", 1, true)
		type key struct{}
		loaded, known := f.Get(context.WithValue(request, key{}, 1), "a")
		require.True(t, known)
		require.Equal(t, 1, loaded)
		f.Add(request, "a", 2, true)
		loaded, _ = f.Get(request, "a")
		require.Equal(t, 2, loaded)
		loaded, known = f.Get(another, "a")
		require.True(t, known, "found by someone")
		require.Nil(t, loaded, "but not by this request")
		_, known = f.Get(request, "b")
		require.False(t, known)

		// A request may take as long as it likes.
		time.Sleep(3 * found.Retention)
		f.Add(another, "x", nil, false)
		f.Add(another, "y", nil, false)
		time.Sleep(3 * found.Retention)
		f.Add(another, "x", nil, false)
		_, known = f.Get(another, "a")
		require.False(t, known, "forgotten")
		loaded, known = f.Get(request, "a")
		require.True(t, known)
		require.Equal(t, 2, loaded)

		end()
		synctest.Wait()
		_, known = f.Get(request, "a")
		require.False(t, known)

		// Without a request, it is remembered for a while.
		f.Add(context.Background(), "c", 3, true)
		time.Sleep(found.Retention)
		f.Add(context.Background(), "d", nil, false)
		loaded, known = f.Get(context.Background(), "c")
		require.True(t, known)
		require.Nil(t, loaded)
	})
}

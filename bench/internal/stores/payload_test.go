package stores

import (
	"bytes"
	"compress/flate"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestPayload(t *testing.T) {
	t.Parallel()
	for _, size := range []int{MinPayload, 200, 2048, 32768} {
		p := Payload(size)
		require.Len(t, p, size)
		require.True(t, utf8.Valid(p))
		require.Equal(t, p, Payload(size), "the same for every store")
		before := string(p)
		for n := range uint64(3) {
			Change(p, n+1)
			require.NotEqual(t, before, string(p))
			require.Len(t, p, size)
			require.True(t, utf8.Valid(p))
			before = string(p)
		}
	}
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.BestSpeed)
	require.NoError(t, err)
	_, err = w.Write(Payload(32768))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.Greater(t, packed.Len(), 32768/8, "a database that compresses must not make it vanish")
}

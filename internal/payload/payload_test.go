package payload_test

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/internal/payload"
)

func TestReadableTextIsStoredAsItIs(t *testing.T) {
	for _, text := range []string{"", `{"a":1}`, "ünï 🎉", "b64", "a b64:"} {
		require.Equal(t, text, payload.Encode([]byte(text)))
	}
}

func TestForeignTextIsLeftAlone(t *testing.T) {
	// What looks like our form and is not, another writer put there.
	for _, text := range []string{"b64:!", "b64:a", "b64:YQ", "b64:YR=="} {
		require.Equal(t, text, string(payload.Decode([]byte(text))))
	}
}

func FuzzRoundTrip(f *testing.F) {
	for _, seed := range []string{"", "text", "\x00", "\xff", "b64:", "b64:aGk=", "b64:\n", "🎉", strings.Repeat("x", 100) + "\x00"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		text := payload.Encode(data)
		require.True(t, utf8.ValidString(text))
		require.NotContains(t, text, "\x00")
		require.True(t, bytes.Equal(data, payload.Decode([]byte(text))))
		require.True(t, bytes.Equal(data, payload.Decode([]byte(payload.Opaque(data)))))
	})
}

package cbor_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/codec/cbor"
	"github.com/entsession/entsession/sessiontest"
)

type basket struct {
	User  string `json:"user"`
	Items []string
	When  time.Time
	Key   []byte
	Any   any
}

func TestCodec(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	payload := entsession.Payload[basket]{Codec: cbor.Codec{}}
	versioned := payload
	versioned.Version = 1
	store := sessiontest.New(t)
	want := basket{"ann", []string{"tea"}, time.Date(2030, 1, 2, 3, 4, 5, 678, time.UTC), []byte{0, 1, 2}, map[string]any{"a": "b"}}
	for _, p := range []entsession.Payload[basket]{payload, versioned} {
		baskets := entsession.Typed[basket]{Store: store, Payload: p}
		s, err := baskets.Create(ctx, want)
		require.NoError(t, err)
		s, err = baskets.Load(ctx, s.ID())
		require.NoError(t, err)
		require.Equal(t, want, s.Value)
	}

	// A bare text of 35 bytes and a negative number begin with the bytes that a version does.
	text, err := cbor.Codec{}.Marshal("v2 " + strings.Repeat("x", 30))
	require.NoError(t, err)
	_, err = entsession.Payload[string]{Codec: cbor.Codec{}}.Decode(text)
	require.NoError(t, err)
	require.Error(t, cbor.Codec{}.Unmarshal([]byte("#v1 x"), new(any)), "no CBOR begins with a version")

	for _, wrong := range []string{"\x9f", "\xbf\x61a\x01\x61a\x02\xff", "\x01\x02", "{}", "\x5b\xff\xff\xff\xff\xff\xff\xff\xff"} {
		_, err := payload.Decode([]byte(wrong))
		require.ErrorIs(t, err, entsession.ErrPayload, "%q", wrong)
	}
	_, err = entsession.Payload[chan int]{Codec: cbor.Codec{}}.Encode(nil)
	require.ErrorContains(t, err, "chan int")
}

// FuzzDecode: whatever is in the table is a value or an error.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{"", "\xa0", "\xa1dUsercann", "#v1 \xa0", "#v2 \xa0", "\x9f\x9f\x9f", "\xd9\xff\xff\x00"} {
		f.Add([]byte(seed))
	}
	p := entsession.Payload[basket]{Codec: cbor.Codec{}, Version: 1}
	f.Fuzz(func(t *testing.T, data []byte) {
		value, err := p.Decode(data)
		if err != nil {
			require.ErrorIs(t, err, entsession.ErrPayload)
			require.Zero(t, value)
			return
		}
		again, err := p.Encode(value)
		if err != nil { // an any may hold what can't be written
			return
		}
		_, err = p.Decode(again)
		require.NoError(t, err)
	})
}

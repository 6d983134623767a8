package entsession_test

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
)

func fuzzStore(f *testing.F, change func(*entsession.Config)) *entsession.Store {
	cfg := entsession.Config{
		Driver: "sqlite", Database: filepath.Join(f.TempDir(), "fuzz.db"), DisableAutopurge: true,
		Params: map[string]string{"synchronous": "off"},
	}
	change(&cfg)
	store, err := entsession.Open(context.Background(), cfg)
	require.NoError(f, err)
	f.Cleanup(func() { require.NoError(f, store.Close()) })
	require.NoError(f, store.Migrate(context.Background()))
	return store
}

// FuzzID: whatever a client sends as its id finds nothing, makes no row and is no panic.
func FuzzID(f *testing.F) {
	ctx := context.Background()
	stores := map[string]*entsession.Store{
		"hashed": fuzzStore(f, func(*entsession.Config) {}),
		"plain":  fuzzStore(f, func(c *entsession.Config) { c.PlainIDs = true }),
	}
	for _, s := range stores {
		_, err := s.Create(ctx, []byte("x"))
		require.NoError(f, err)
	}
	for _, seed := range []string{"", "a", "' OR 1=1 --", "\x00", "\xff", "%", strings.Repeat("a", 43), strings.Repeat("b", 72), strings.Repeat("c", 73), "ключ", " "} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, id string) {
		for name, s := range stores {
			_, err := s.Load(ctx, id)
			require.Equal(t, entsession.ErrNotFound, err, name)
			require.Equal(t, entsession.ErrNotFound, s.Touch(ctx, id), name)
			require.NoError(t, s.Delete(ctx, id), name)
			usage, err := s.Usage(ctx)
			require.NoError(t, err)
			require.Len(t, usage, 1)
			require.EqualValues(t, 1, usage[0].Live, name)
		}
	})
}

// FuzzPayload: what is put in comes back byte for byte, as payload and as text column.
func FuzzPayload(f *testing.F) {
	ctx := context.Background()
	store := fuzzStore(f, func(c *entsession.Config) { c.MaxDataBytes = 10_000 })
	for _, seed := range []string{"", "text", "\x00", "\xff\xfe", "b64:", "b64:aGk=", "🎉", strings.Repeat("x", 10_001)} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := store.Create(ctx, data)
		if len(data) > 10_000 {
			require.ErrorIs(t, err, entsession.ErrTooLarge)
			return
		}
		require.NoError(t, err)
		got, err := store.Load(ctx, s.ID())
		require.NoError(t, err)
		require.True(t, bytes.Equal(data, got.Data))
		require.NoError(t, store.Save(ctx, got))
		got, err = store.Load(ctx, s.ID())
		require.NoError(t, err)
		require.True(t, bytes.Equal(data, got.Data))
		require.NoError(t, store.Delete(ctx, s.ID()))
	})
}

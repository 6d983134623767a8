package fiberstore_test

import (
	"bytes"
	"encoding/gob"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/fiberstore"
	"github.com/entsession/entsession/internal/found"
	"github.com/entsession/entsession/sessiontest"
	_ "github.com/entsession/entsession/sqlite"
)

func open(t *testing.T) *entsession.Store {
	t.Helper()
	store, err := entsession.Open(t.Context(), entsession.Config{Driver: "sqlite", Database: filepath.Join(t.TempDir(), "sessions.db"), Params: map[string]string{"synchronous": "off"}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	require.NoError(t, store.Migrate(t.Context()))
	return store
}

// TestContract is what fiber says of a Storage.
func TestContract(t *testing.T) {
	t.Parallel()
	store := open(t)
	s := fiberstore.New(store)
	for _, unknown := range []string{"", "unknown", "ü", "a b", string(make([]byte, 5000))} {
		val, err := s.Get(unknown)
		require.NoError(t, err)
		require.Nil(t, val)
		require.NoError(t, s.Delete(unknown))
	}
	require.NoError(t, s.Set("", []byte("x"), time.Hour))
	require.NoError(t, s.Set("key", nil, time.Hour))
	val, err := s.Get("key")
	require.NoError(t, err)
	require.Nil(t, val, "an empty key or value is ignored")

	require.NoError(t, s.Set("key", []byte("one"), time.Hour))
	val, err = s.Get("key")
	require.NoError(t, err)
	require.Equal(t, "one", string(val))
	require.NoError(t, s.Set("key", []byte("two"), 0))
	val, err = s.Get("key")
	require.NoError(t, err)
	require.Equal(t, "two", string(val))
	require.NoError(t, s.Delete("key"))
	require.NoError(t, s.Set("key", []byte("late"), time.Hour), "dropped")
	val, err = s.Get("key")
	require.NoError(t, err)
	require.Nil(t, val)

	require.NoError(t, s.Set("a", []byte("x"), time.Hour))
	require.NoError(t, s.Set("b", []byte("x"), time.Hour))
	require.ErrorContains(t, s.Set("a", []byte("y"), time.Hour), "not overwritten", "written, but never found")
	require.NoError(t, s.Reset())
	for _, key := range []string{"a", "b"} {
		val, err = s.Get(key)
		require.NoError(t, err)
		require.Nil(t, val)
	}
	require.NoError(t, s.Close())
	_, err = store.Create(t.Context(), nil)
	require.NoError(t, err, "the store is its owner's to close")

	require.NoError(t, store.Close())
	_, err = s.Get("key")
	require.ErrorIs(t, err, entsession.ErrClosed)
	require.ErrorIs(t, s.Set("key", []byte("x"), time.Hour), entsession.ErrClosed)
	require.ErrorIs(t, s.Delete("key"), entsession.ErrClosed)
	require.ErrorIs(t, s.Reset(), entsession.ErrClosed)
}

// TestVisitors: a session without values is not written before it has some.
func TestVisitors(t *testing.T) {
	t.Parallel()
	s := fiberstore.New(open(t))
	encode := func(v any) []byte {
		var b bytes.Buffer
		require.NoError(t, gob.NewEncoder(&b).Encode(v))
		return b.Bytes()
	}
	for _, empty := range [][]byte{encode(map[any]any{}), encode(map[string]any{})} {
		require.NoError(t, s.Set("visitor", empty, time.Hour))
		val, err := s.Get("visitor")
		require.NoError(t, err)
		require.Nil(t, val)
	}
	require.NoError(t, s.Set("v3", encode(map[any]any{"user": "ann"}), time.Hour))
	require.NoError(t, s.Set("v2", encode(map[string]any{"user": "ann"}), time.Hour))
	for _, key := range []string{"v3", "v2"} {
		val, err := s.Get(key)
		require.NoError(t, err)
		require.NotNil(t, val)
		require.NoError(t, s.Set(key, encode(map[any]any{}), time.Hour))
		val, err = s.Get(key)
		require.NoError(t, err)
		require.Equal(t, encode(map[any]any{}), val, "one that lost its values is")
	}
}

// TestForgotten: without a context a session is known for ten minutes after it was found, and longer only while few others are. A write after that is that of
// a new session, which does not overwrite the one that is there.
func TestForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := fiberstore.New(sessiontest.New(t))
		for _, key := range []string{"mine", "other"} {
			require.NoError(t, s.Set(key, []byte("x"), 24*time.Hour))
			_, err := s.Get(key)
			require.NoError(t, err)
		}
		time.Sleep(found.Retention)
		_, err := s.Get("other")
		require.NoError(t, err)
		require.NoError(t, s.Set("mine", []byte("y"), 24*time.Hour))
		time.Sleep(found.Retention)
		_, err = s.Get("other")
		require.NoError(t, err)
		require.ErrorContains(t, s.Set("mine", []byte("z"), 24*time.Hour), "not overwritten")
		val, err := s.Get("mine")
		require.NoError(t, err)
		require.Equal(t, "y", string(val))
		require.NoError(t, s.Set("mine", []byte("z"), 24*time.Hour), "found again")
	})
}

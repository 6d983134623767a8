package scsstore_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/scsstore"
	_ "github.com/entsession/entsession/sqlite"
)

func open(t *testing.T, change ...func(*entsession.Config)) *entsession.Store {
	t.Helper()
	cfg := entsession.Config{Driver: "sqlite", Database: filepath.Join(t.TempDir(), "sessions.db"), Params: map[string]string{"synchronous": "off"}}
	for _, c := range change {
		c(&cfg)
	}
	store, err := entsession.Open(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	require.NoError(t, store.Migrate(t.Context()))
	return store
}

var soon = time.Now().Add(time.Hour)

// TestContract is what scs says of a Store.
func TestContract(t *testing.T) {
	t.Parallel()
	s := scsstore.New(open(t))
	for _, unknown := range []string{"", "unknown", "ü", "a b", string(make([]byte, 5000))} {
		_, found, err := s.Find(unknown)
		require.NoError(t, err)
		require.False(t, found)
		require.NoError(t, s.Delete(unknown))
	}
	all, err := s.All()
	require.NoError(t, err)
	require.NotNil(t, all)
	require.Empty(t, all)

	require.NoError(t, s.Commit("token", []byte("one"), soon))
	b, found, err := s.Find("token")
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, "one", string(b))
	require.NoError(t, s.Commit("token", []byte("two"), soon))
	b, _, err = s.Find("token")
	require.NoError(t, err)
	require.Equal(t, "two", string(b))
	b[0] = 'T' // the caller's own
	b, _, err = s.Find("token")
	require.NoError(t, err)
	require.Equal(t, "two", string(b))

	require.NoError(t, s.Delete("token"))
	_, found, err = s.Find("token")
	require.NoError(t, err)
	require.False(t, found)
	require.NoError(t, s.Commit("token", []byte("late"), soon), "dropped")
	_, found, err = s.Find("token")
	require.NoError(t, err)
	require.False(t, found)

	require.NoError(t, s.Commit("over", []byte("x"), time.Now().Add(time.Hour)))
	require.NoError(t, s.Commit("over", []byte("x"), time.Now().Add(-time.Second)))
	_, found, err = s.Find("over")
	require.NoError(t, err)
	require.False(t, found, "an expiry that is past")
}

// TestCollision: a token that this process knows nothing of is a new one.
func TestCollision(t *testing.T) {
	t.Parallel()
	store := open(t)
	require.NoError(t, scsstore.New(store).Commit("token", []byte("victim"), soon))
	s := scsstore.New(store)
	require.ErrorContains(t, s.Commit("token", []byte("attacker"), soon), "not overwritten")
	b, found, err := s.Find("token")
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, "victim", string(b))
}

// TestNothingStored: values that were set and removed again before the commit are none. Of a session that is there it is a change, known or not.
func TestNothingStored(t *testing.T) {
	t.Parallel()
	store := open(t)
	data := func(values map[string]string) []byte {
		b, err := encode(values)
		require.NoError(t, err)
		return b
	}
	s := scsstore.New(store)
	require.NoError(t, s.Commit("visitor", data(nil), soon))
	n, err := store.Count(t.Context())
	require.NoError(t, err)
	require.Zero(t, n)
	require.NoError(t, s.Commit("visitor", data(map[string]string{"n": "1"}), soon), "the token is as good as before")

	require.ErrorContains(t, scsstore.New(store).Commit("visitor", data(nil), soon), "not overwritten", "nor forgotten that something was to be removed")
	_, found, err := s.Find("visitor")
	require.NoError(t, err)
	require.True(t, found)
	require.NoError(t, s.Commit("visitor", data(nil), soon))
	b, found, err := s.Find("visitor")
	require.NoError(t, err)
	require.True(t, found)
	values, err := decode(b)
	require.NoError(t, err)
	require.Empty(t, values)

	require.NoError(t, store.Close())
	require.ErrorIs(t, s.Commit("another", data(nil), soon), entsession.ErrClosed)
}

// TestAll: what stands for a token can be used as scs does it, and opens nothing.
func TestAll(t *testing.T) {
	t.Parallel()
	for _, plain := range []bool{true, false} {
		s := scsstore.New(open(t, func(c *entsession.Config) { c.PlainIDs = plain }))
		for _, token := range []string{"one", "two", "three"} {
			require.NoError(t, s.Commit(token, []byte(token), soon))
		}
		require.NoError(t, s.Delete("three"))
		all, err := s.All()
		require.NoError(t, err)
		require.Len(t, all, 2)
		for token, b := range all {
			_, found, err := s.Find(token)
			require.NoError(t, err)
			require.Equal(t, plain, found)
			require.NoError(t, s.Commit(token, append(b, '!'), soon))
			b, found, err = s.Find(string(b))
			require.NoError(t, err)
			require.True(t, found)
			require.Equal(t, byte('!'), b[len(b)-1])
			require.NoError(t, s.Delete(token))
		}
		all, err = s.All()
		require.NoError(t, err)
		require.Empty(t, all)
		require.NoError(t, s.Commit("key:nobody", []byte("x"), soon))
		all, err = s.All()
		require.NoError(t, err)
		if !plain {
			require.Empty(t, all)
		}
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	store := open(t)
	s := scsstore.New(store)
	require.NoError(t, s.Commit("token", []byte("x"), soon))
	require.NoError(t, store.Close())
	_, found, err := s.Find("token")
	require.ErrorIs(t, err, entsession.ErrClosed)
	require.False(t, found)
	require.ErrorIs(t, s.Commit("token", []byte("x"), soon), entsession.ErrClosed)
	require.ErrorIs(t, s.Delete("token"), entsession.ErrClosed)
	_, err = s.All()
	require.ErrorIs(t, err, entsession.ErrClosed)

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	s = scsstore.New(open(t))
	_, _, err = s.FindCtx(ended, "token")
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, s.CommitCtx(ended, "token", []byte("x"), soon), context.Canceled)
	require.ErrorIs(t, s.DeleteCtx(ended, "token"), context.Canceled)
	_, err = s.AllCtx(ended)
	require.ErrorIs(t, err, context.Canceled)

	s.Columns = func(map[string]any) []entsession.Column { return nil }
	require.ErrorContains(t, s.Commit("token", []byte("no gob"), soon), "decoding the session for Columns")
}

package sessiontest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/sessiontest"
)

// In a bubble, sleeping is enough.
func TestBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := sessiontest.New(t)
		s, err := store.Create(t.Context(), nil)
		require.NoError(t, err)
		require.Equal(t, 2000, s.Created().UTC().Year())
		time.Sleep(30 * time.Minute)
		_, err = store.Load(t.Context(), s.ID())
		require.NoError(t, err)
		time.Sleep(2 * time.Minute)
		_, err = store.Load(t.Context(), s.ID())
		require.ErrorIs(t, err, entsession.ErrNotFound)
	})
}

package entsession_test

import (
	"database/sql"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/internal/dbtest"
)

// TestDeferredTransactions: where SQLite's transactions don't begin with the lock, the first statement of a batch waits for it, and no longer than the
// statement timeout.
func TestDeferredTransactions(t *testing.T) {
	t.Parallel()
	kind := dbtest.Kinds(dbtest.SQLite)[0]
	db := kind.New(t)
	cfg := storeConfig(kind, db)
	cfg.Params = map[string]string{"_txlock": "deferred", "busy_timeout": "60000"}
	cfg.StatementTimeout = 2 * time.Second
	store := opened(t, cfg)
	other, err := sql.Open("sqlite", db.File+"?_busy_timeout=60000&_txlock=immediate")
	require.NoError(t, err)
	defer func() { require.NoError(t, other.Close()) }()

	var wg sync.WaitGroup
	locked, start := make(chan *sql.Tx), time.Now()
	for range 8 {
		s, err := store.Create(t.Context(), []byte("x"))
		require.NoError(t, err)
		wg.Go(func() {
			for {
				s.Data = []byte(time.Now().String())
				if err := store.Save(t.Context(), s); err != nil {
					assert.ErrorIs(t, err, entsession.ErrUnavailable)
					return
				}
			}
		})
	}
	go func() {
		tx, err := other.Begin()
		assert.NoError(t, err)
		locked <- tx
	}()
	tx := <-locked
	wg.Wait()
	require.NoError(t, tx.Rollback())
	require.Less(t, time.Since(start), 30*time.Second, "not the busy timeout")
}

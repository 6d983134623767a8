package entsession_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/internal/dbtest"
)

// TestTimesAsText: behind a pooler that keeps no prepared statements answers come as text, and a time's form depends on the role's settings. A load does not.
func TestTimesAsText(t *testing.T) {
	t.Parallel()
	for _, kind := range dbtest.Kinds(dbtest.Postgres) {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			for _, mode := range []string{"exec", "simple_protocol", "cache_statement"} {
				db := kind.New(t)
				cfg := storeConfig(kind, db)
				if cfg.Params == nil {
					cfg.Params = map[string]string{}
				}
				cfg.Params["default_query_exec_mode"], cfg.Params["datestyle"], cfg.Params["timezone"] = mode, "German, DMY", "Asia/Kolkata"
				store, err := entsession.Open(t.Context(), cfg)
				require.NoError(t, err)
				require.NoError(t, store.Migrate(t.Context()))
				s, err := store.Create(t.Context(), []byte("tea"))
				require.NoError(t, err)
				got, err := store.Load(t.Context(), s.ID())
				require.NoError(t, err, mode)
				require.Equal(t, "tea", string(got.Data))
				_, err = db.Super(t).Exec("UPDATE sessions SET timeout = floor(date_part('epoch', now()))::bigint - 1")
				require.NoError(t, err)
				_, err = store.Load(t.Context(), s.ID())
				require.ErrorIs(t, err, entsession.ErrNotFound, mode)
				require.NoError(t, store.Close())
			}
		})
	}
}

package entsession_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/internal/dbtest"
)

// TestPreparedBatches: a connection to MariaDB prepares the statements of a batch once for each power of two.
func TestPreparedBatches(t *testing.T) {
	t.Parallel()
	kind := dbtest.Kinds(dbtest.MySQL)[0]
	db := kind.New(t)
	cfg := storeConfig(kind, db)
	cfg.MaxOpenConns = 1
	cfg.Params = map[string]string{"maxAllowedPacket": "1000000"} // the driver sends what is longer than its share of this by itself
	drv, err := entsession.OpenDriver(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, drv.Close()) })
	store, err := entsession.New(t.Context(), drv, entsession.Config{DisableAutopurge: true, MaxOpenConns: 1})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	require.NoError(t, store.Migrate(t.Context()))
	counted := func(what string) (n int) {
		var name string
		require.NoError(t, drv.DB().QueryRow("SHOW SESSION STATUS LIKE 'Com_stmt_"+what+"'").Scan(&name, &n))
		return n
	}
	sessions := map[string]*entsession.Session{}
	together := func() map[string]bool {
		saved, _, err := entsession.SaveTogether(t.Context(), store, sessions)
		require.NoError(t, err)
		for name, s := range sessions {
			sessions[name], err = store.Load(t.Context(), s.ID())
			require.NoError(t, err)
			if saved[name] {
				require.Equal(t, name, string(sessions[name].Data))
			}
		}
		return saved
	}
	for n := 1; n <= 9; n++ {
		sessions[fmt.Sprint("session ", n)], err = store.Create(t.Context(), []byte("x"))
		require.NoError(t, err)
		saved := together()
		for name := range sessions {
			require.True(t, saved[name], "%s of %d", name, n)
		}
		sizes := 1 // of four, eight and sixteen
		if n > 4 {
			sizes = 2
		}
		if n > 8 {
			sizes = 3
		}
		require.Equal(t, 2*sizes, counted("prepare"), "to lock and to save, %d sessions", n)
		require.Equal(t, 2*n, counted("execute"))
	}

	// Someone else has saved one of them since: the others are written, the last of them too.
	for name, s := range sessions {
		other, err := store.Load(t.Context(), s.ID())
		require.NoError(t, err)
		other.Data = []byte("other")
		require.NoError(t, store.Save(t.Context(), other))
		saved := together()
		require.Len(t, saved, 9)
		for n, ok := range saved {
			require.Equal(t, n != name, ok)
		}
		require.Equal(t, "other", string(sessions[name].Data))
	}
	require.Equal(t, 6, counted("prepare"))
	require.Zero(t, counted("close"))

	// A payload that is sent by itself, as long ones are, is not there any more the next time.
	four := slices.Collect(maps.Values(sessions))[:4]
	for _, length := range []int{40_000, 0, 40_000, 200, 1} {
		round := map[string]*entsession.Session{}
		for i, s := range four {
			round[fmt.Sprint(i, strings.Repeat("x", length*(i+1)))] = s
		}
		saved, _, err := entsession.SaveTogether(t.Context(), store, round)
		require.NoError(t, err)
		for name, s := range round {
			require.True(t, saved[name])
			i := slices.Index(four, s)
			four[i], err = store.Load(t.Context(), s.ID())
			require.NoError(t, err)
			require.Equal(t, name, string(four[i].Data))
		}
	}
	require.Equal(t, 6, counted("prepare"))
	require.NotZero(t, counted("send_long_data"))
}

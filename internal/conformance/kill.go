package conformance

import (
	"database/sql"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/internal/dbtest"
)

// killAll ends the connections of the test's user to its database on the server's side, as an administrator would, and waits until they are gone.
func killAll(t *testing.T, e *env, super *sql.DB) {
	t.Helper()
	if e.db.Kind.Dialect == dbtest.Postgres {
		_, err := super.ExecContext(ctx, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1 AND datname = current_database()", e.db.User)
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			var n int
			require.NoError(t, super.QueryRowContext(ctx, "SELECT count(*) FROM pg_stat_activity WHERE usename = $1 AND datname = current_database()", e.db.User).Scan(&n))
			return n == 0
		}, waitFor, tick)
		return
	}
	for _, id := range processes(t, e, super) {
		_, err := super.ExecContext(ctx, "KILL CONNECTION "+strconv.FormatInt(id, 10))
		if err != nil {
			require.ErrorContains(t, err, "1094", "it may have gone by itself")
		}
	}
	require.Eventually(t, func() bool { return len(processes(t, e, super)) == 0 }, waitFor, tick)
}

func processes(t *testing.T, e *env, super *sql.DB) (ids []int64) {
	t.Helper()
	rows, err := super.QueryContext(ctx, "SELECT id FROM information_schema.processlist WHERE user = ? AND db = DATABASE()", e.db.User)
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		var id int64
		require.NoError(t, rows.Scan(&id))
		ids = append(ids, id)
	}
	require.NoError(t, rows.Err())
	return ids
}

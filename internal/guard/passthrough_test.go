package guard_test

import (
	"database/sql"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/internal/dbtest"
	"github.com/entsession/entsession/internal/fault"
)

// What the drivers can do beyond the ordinary, the guarded connection can too.
func TestArguments(t *testing.T) {
	forEach(t, func(t *testing.T, db *dbtest.DB) {
		pool := open(t, db.Kind.Dialect, settings(db, never))
		query, arg := `SELECT count(*) FROM (SELECT 1) x WHERE 1 = ?`, any(uint64(1))
		if db.Kind.Dialect == dbtest.Postgres {
			query, arg = `SELECT cardinality($1::text[]) - 1`, []string{"it's", `"`}
		}
		var n int
		require.NoError(t, pool.QueryRowContext(deadline(t), query, arg).Scan(&n))
		require.Equal(t, 1, n)
		stmt, err := pool.PrepareContext(deadline(t), query)
		require.NoError(t, err)
		defer stmt.Close()
		require.NoError(t, stmt.QueryRowContext(deadline(t), arg).Scan(&n))
		require.Equal(t, 1, n)
	})
}

func TestColumnTypes(t *testing.T) {
	forEach(t, func(t *testing.T, db *dbtest.DB) {
		pool := open(t, db.Kind.Dialect, settings(db, never))
		run(t, pool, `CREATE TABLE t (s varchar(7), n bigint)`)
		rows, err := pool.QueryContext(deadline(t), `SELECT s, n FROM t`)
		require.NoError(t, err)
		defer rows.Close()
		types, err := rows.ColumnTypes()
		require.NoError(t, err)
		require.Contains(t, types[0].DatabaseTypeName(), "VARCHAR")
		require.NotEmpty(t, types[1].DatabaseTypeName())
		if db.Kind.Dialect != dbtest.SQLite { // its driver knows with a row only
			require.NotNil(t, types[1].ScanType())
		}
	})
}

func TestTransaction(t *testing.T) {
	forEach(t, func(t *testing.T, db *dbtest.DB) {
		pool := open(t, db.Kind.Dialect, settings(db, never))
		run(t, pool, `CREATE TABLE t (n int)`)
		for n, end := range []func(*sql.Tx) error{(*sql.Tx).Rollback, (*sql.Tx).Commit} {
			tx, err := pool.BeginTx(deadline(t), nil)
			require.NoError(t, err)
			run(t, tx, write)
			require.NoError(t, end(tx))
			require.Equal(t, n, number(t, pool, `SELECT count(*) FROM t`))
		}
		tx, err := pool.BeginTx(deadline(t), &sql.TxOptions{ReadOnly: true})
		require.NoError(t, err)
		_, err = tx.ExecContext(deadline(t), write)
		if db.Kind.Dialect != dbtest.SQLite { // its driver leaves that to the caller
			require.Equal(t, fault.ReadOnly, fault.Of(err), "%v", err)
		}
		require.NoError(t, tx.Rollback())
	})
}

// The guard costs nothing that the garbage collector sees.
func TestAllocations(t *testing.T) {
	for _, kind := range kinds(dbtest.SQLite) {
		db := kind.New(t)
		s := settings(db, never)
		guarded := open(t, kind.Dialect, s)
		run(t, guarded, `CREATE TABLE t (n int)`)
		bare, err := sql.Open("sqlite", db.DSN())
		require.NoError(t, err)
		defer bare.Close()
		count := func(pool *sql.DB) float64 {
			ctx := deadline(t)
			return testing.AllocsPerRun(100, func() {
				_, err := pool.ExecContext(ctx, `SELECT 1`)
				require.NoError(t, err)
			})
		}
		require.LessOrEqual(t, count(guarded), count(bare))
	}
}

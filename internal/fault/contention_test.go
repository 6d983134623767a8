package fault_test

import (
	"context"
	"database/sql"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/internal/dbtest"
	"github.com/entsession/entsession/internal/fault"
)

func rows(t *testing.T, db *dbtest.DB) {
	t.Helper()
	run(t, db.Admin(t), `CREATE TABLE t (id int PRIMARY KEY, n int)`, `INSERT INTO t VALUES (1, 0), (2, 0)`)
}

func begin(t *testing.T, pool *sql.DB, options *sql.TxOptions, statements ...string) *sql.Tx {
	t.Helper()
	tx, err := pool.BeginTx(deadline(t), options)
	require.NoError(t, err)
	t.Cleanup(func() { _ = tx.Rollback() })
	run(t, tx, statements...)
	return tx
}

func TestDeadlock(t *testing.T) {
	t.Parallel()
	for _, kind := range dbtest.Kinds(dbtest.Postgres, dbtest.MySQL) {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			db := kind.New(t)
			rows(t, db)
			pool := open(t, kind.Dialect, settings(db))
			ab := begin(t, pool, nil, `UPDATE t SET n = n + 1 WHERE id = 1`)
			ba := begin(t, pool, nil, `UPDATE t SET n = n + 1 WHERE id = 2`)
			first := make(chan error, 1)
			ctx := deadline(t)
			go func() {
				_, err := ab.ExecContext(ctx, `UPDATE t SET n = n + 1 WHERE id = 2`)
				first <- err
				_ = ab.Rollback()
			}()
			_, second := ba.ExecContext(ctx, `UPDATE t SET n = n + 1 WHERE id = 1`)
			_ = ba.Rollback()
			err := second // which of them is the victim is the server's choice
			if other := <-first; err == nil {
				err = other
			} else {
				require.NoError(t, other)
			}
			requireFault(t, fault.Contention, []string{"SQLSTATE 40P01", "error 1213"}, err)
		})
	}
}

func TestLockTimeout(t *testing.T) {
	t.Parallel()
	short := map[string]string{
		dbtest.Postgres: `SET lock_timeout = '10ms'`,
		dbtest.MySQL:    `SET SESSION innodb_lock_wait_timeout = 0`,
		dbtest.SQLite:   `PRAGMA busy_timeout = 10`,
	}
	for _, kind := range dbtest.Kinds() {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			db := kind.New(t)
			rows(t, db)
			pool := open(t, kind.Dialect, settings(db))
			begin(t, pool, nil, `UPDATE t SET n = 1 WHERE id = 1`)
			waiting := connect(t, pool)
			run(t, waiting, short[kind.Dialect])
			_, err := waiting.ExecContext(deadline(t), `UPDATE t SET n = 2 WHERE id = 1`)
			requireFault(t, fault.Contention, []string{"SQLSTATE 55P03", "error 1205", "SQLite code 5"}, err)
		})
	}
}

func TestSerialization(t *testing.T) {
	t.Parallel()
	for _, kind := range dbtest.Kinds(dbtest.Postgres) {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			db := kind.New(t)
			rows(t, db)
			pool := open(t, kind.Dialect, settings(db))
			tx := begin(t, pool, &sql.TxOptions{Isolation: sql.LevelRepeatableRead}, `SELECT * FROM t`)
			run(t, pool, `UPDATE t SET n = 1 WHERE id = 1`)
			_, err := tx.ExecContext(deadline(t), `UPDATE t SET n = 2 WHERE id = 1`)
			requireFault(t, fault.Contention, code("SQLSTATE 40001"), err)
		})
	}
	for _, kind := range dbtest.Kinds(dbtest.MySQL) {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			db := kind.New(t)
			rows(t, db)
			pool := open(t, kind.Dialect, settings(db))
			conn := connect(t, pool)
			run(t, conn, `SET SESSION innodb_snapshot_isolation = 1`, `START TRANSACTION WITH CONSISTENT SNAPSHOT`)
			run(t, pool, `UPDATE t SET n = 1 WHERE id = 1`)
			_, err := conn.ExecContext(deadline(t), `UPDATE t SET n = 2 WHERE id = 1`)
			requireFault(t, fault.Contention, code("error 1020"), err)
		})
	}
	for _, kind := range dbtest.Kinds(dbtest.SQLite) {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			db := kind.New(t)
			rows(t, db)
			s := settings(db)
			s.Params = map[string]string{"_txlock": "deferred"}
			pool := open(t, kind.Dialect, s)
			tx := begin(t, pool, nil)
			var n int
			require.NoError(t, tx.QueryRowContext(deadline(t), `SELECT n FROM t WHERE id = 1`).Scan(&n))
			run(t, pool, `UPDATE t SET n = 1 WHERE id = 1`)
			_, err := tx.ExecContext(deadline(t), `UPDATE t SET n = 2 WHERE id = 1`)
			requireFault(t, fault.Contention, code("SQLite code 517"), err) // SQLITE_BUSY_SNAPSHOT
		})
	}
}

// The server's own limits on a statement are no contention: trying again would take as long again.
func TestStatementTimeout(t *testing.T) {
	t.Parallel()
	for _, kind := range dbtest.Kinds(dbtest.Postgres, dbtest.MySQL) {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			conn := connect(t, open(t, kind.Dialect, settings(kind.New(t))))
			set, slow := `SET statement_timeout = '10ms'`, `SELECT pg_sleep(60)`
			if kind.Dialect == dbtest.MySQL {
				set, slow = `SET max_statement_time = 0.01`, `SELECT count(*) FROM seq_1_to_100000000 a, seq_1_to_100000000 b`
			}
			run(t, conn, set)
			_, err := conn.ExecContext(context.Background(), slow)
			requireFault(t, fault.Other, []string{"SQLSTATE 57014", "error 1969"}, err)
		})
	}
}

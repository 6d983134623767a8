package fault_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/internal/dbtest"
	"github.com/entsession/entsession/internal/fault"
)

// What ends a statement that an administrator or a limit has cancelled is not to be tried again: it would end the same way.
func TestCancelled(t *testing.T) {
	t.Parallel()
	cancel := map[string]string{dbtest.Postgres: `SELECT pg_cancel_backend(%d)`, dbtest.MySQL: `KILL QUERY %d`}
	for _, kind := range dbtest.Kinds(dbtest.Postgres, dbtest.MySQL) {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			db := kind.New(t)
			pool := open(t, kind.Dialect, settings(db))
			conn := connect(t, pool)
			id := idOf(t, kind, conn)
			run(t, pool, `CREATE TABLE t (n int PRIMARY KEY)`, `INSERT INTO t VALUES (1)`)
			tx := begin(t, pool, nil, `UPDATE t SET n = 2`)
			failed := make(chan error, 1)
			ctx := deadline(t)
			go func() { // MySQL's SLEEP ends without an error when it is cancelled
				_, err := conn.ExecContext(ctx, `UPDATE t SET n = 3`)
				failed <- err
			}()
			super := db.Super(t)
			require.Eventually(t, func() bool {
				var n int
				return super.QueryRow(fmt.Sprintf(busy[kind.Dialect], id)).Scan(&n) == nil && n == 1
			}, patience, time.Millisecond)
			run(t, super, fmt.Sprintf(cancel[kind.Dialect], id))
			err := <-failed
			t.Log(err)
			requireFault(t, fault.Other, []string{"SQLSTATE 57014", "error 1317"}, err)
			require.NoError(t, tx.Rollback())
		})
	}
}

// Limits of an account, and of what a statement may use.
func TestLimits(t *testing.T) {
	t.Parallel()
	for _, kind := range dbtest.Kinds(dbtest.Postgres) {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			db := kind.Start(t).New(t)
			super := db.Super(t)
			defer super.Close() // it would outlive the server
			run(t, super, `ALTER ROLE `+db.User+` CONNECTION LIMIT 2`)
			t.Log("of a role:", requireFull(t, open(t, kind.Dialect, settings(db)), "SQLSTATE 53300"))
			run(t, super, `ALTER ROLE `+db.User+` CONNECTION LIMIT -1`, `ALTER DATABASE `+db.Name+` CONNECTION LIMIT 2`)
			t.Log("of a database:", requireFull(t, open(t, kind.Dialect, settings(db)), "SQLSTATE 53300"))

			conn := connect(t, super)
			run(t, conn, `SET temp_file_limit = '64kB'`, `SET work_mem = '64kB'`)
			_, err := conn.ExecContext(deadline(t), `SELECT md5(n::text) FROM generate_series(1, 100000) n ORDER BY 1`)
			t.Log("of temporary files:", err)
			requireFault(t, fault.Other, code("SQLSTATE 53400"), err)
			require.NoError(t, conn.Close())
		})
	}
	for _, kind := range dbtest.Kinds(dbtest.MySQL) {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			db := kind.Start(t).New(t)
			super := db.Super(t)
			defer super.Close()
			conn := connect(t, super)
			run(t, conn, `SET GLOBAL require_secure_transport = 1`)
			err := open(t, kind.Dialect, settings(db)).PingContext(deadline(t))
			t.Log("TLS is asked for:", err)
			requireFault(t, fault.Other, []string{"error 1045", "error 3159"}, err) // MariaDB, MySQL
			run(t, conn, `SET GLOBAL require_secure_transport = 0`)
			require.NoError(t, conn.Close())
			s := settings(db)
			s.Params = map[string]string{"tls": "true"}
			err = open(t, kind.Dialect, s).PingContext(deadline(t))
			t.Log("TLS is not there:", err)
			require.Error(t, err)
		})
	}
}

// A transaction that took too long: PostgreSQL ends the connection. (transaction_timeout is of version 17.)
func TestTransactionTimeout(t *testing.T) {
	t.Parallel()
	for _, kind := range dbtest.Kinds(dbtest.Postgres) {
		if kind.Name != "postgres18" {
			continue // it came with PostgreSQL 17
		}
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			pool := open(t, kind.Dialect, settings(kind.New(t)))
			conn := connect(t, pool)
			run(t, conn, `SET transaction_timeout = '10ms'`, `BEGIN`)
			_, err := conn.ExecContext(deadline(t), `SELECT pg_sleep(60)`)
			requireFault(t, fault.Lost, code("SQLSTATE 25P04"), err)
		})
	}
}

// A name that nobody knows may be known in a moment: a failover by DNS.
func TestUnknownHost(t *testing.T) {
	t.Parallel()
	for _, kind := range dbtest.Kinds(dbtest.Postgres, dbtest.MySQL) {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			s := settings(kind.New(t))
			s.Hostname = "host.invalid" // RFC 6761
			err := open(t, kind.Dialect, s).PingContext(deadline(t))
			t.Log(err)
			requireFault(t, fault.NotSent, nil, err)
		})
	}
}

// What may become of SQLite's file. Nothing of it mends by trying again, but a lock of another connection.
func TestSQLiteFiles(t *testing.T) {
	t.Parallel()
	kind := dbtest.Kinds(dbtest.SQLite)[0]

	t.Run("full", func(t *testing.T) {
		t.Parallel()
		conn := connect(t, open(t, kind.Dialect, settings(kind.New(t))))
		run(t, conn, `CREATE TABLE t (b blob)`, `PRAGMA max_page_count = 3`)
		_, err := conn.ExecContext(deadline(t), `INSERT INTO t VALUES (zeroblob(100000))`)
		t.Log(err)
		requireFault(t, fault.Other, code("SQLite code 13"), err)
	})
	t.Run("no database", func(t *testing.T) {
		t.Parallel()
		s := settings(kind.New(t))
		require.NoError(t, os.WriteFile(s.Database, bytes.Repeat([]byte("no database"), 1000), 0o600))
		err := open(t, kind.Dialect, s).PingContext(deadline(t))
		t.Log(err)
		requireFault(t, fault.Other, code("SQLite code 26"), err)
	})
	t.Run("no directory", func(t *testing.T) {
		t.Parallel()
		s := settings(kind.New(t))
		s.Database = filepath.Join(s.Database, "missing", "file")
		err := open(t, kind.Dialect, s).PingContext(deadline(t))
		t.Log(err)
		requireFault(t, fault.Other, code("SQLite code 14"), err)
	})
	t.Run("corrupt", func(t *testing.T) {
		t.Parallel()
		s := settings(kind.New(t))
		s.Params = map[string]string{"journal_mode": "delete", "cell_size_check": "on"}
		pool := open(t, kind.Dialect, s)
		run(t, pool, `CREATE TABLE t (n int, b blob)`, `INSERT INTO t VALUES (1, zeroblob(10000))`)
		require.NoError(t, pool.Close())
		file, err := os.OpenFile(s.Database, os.O_WRONLY, 0)
		require.NoError(t, err)
		_, err = file.WriteAt(bytes.Repeat([]byte{0xff}, 4096), 4096)
		require.NoError(t, err)
		require.NoError(t, file.Close())
		_, err = open(t, kind.Dialect, s).ExecContext(deadline(t), `UPDATE t SET n = 2`)
		t.Log(err)
		requireFault(t, fault.Other, code("SQLite code 11"), err)
	})
	t.Run("cut short", func(t *testing.T) {
		t.Parallel()
		s := settings(kind.New(t))
		s.Params = map[string]string{"journal_mode": "delete", "mmap_size": "0"}
		pool := open(t, kind.Dialect, s)
		run(t, pool, `CREATE TABLE t (b blob)`, `INSERT INTO t VALUES (zeroblob(100000))`)
		require.NoError(t, pool.Close())
		require.NoError(t, os.Truncate(s.Database, 8192+100))
		_, err := open(t, kind.Dialect, s).ExecContext(deadline(t), `SELECT b FROM t`)
		if err == nil {
			err = open(t, kind.Dialect, s).QueryRowContext(deadline(t), `SELECT b FROM t`).Scan(new([]byte))
		}
		t.Log(err)
		requireFault(t, fault.Other, []string{"SQLite code 11", "SQLite code 522"}, err) // CORRUPT, IOERR_SHORT_READ
	})
	t.Run("in use by itself", func(t *testing.T) {
		t.Parallel()
		pool := open(t, kind.Dialect, settings(kind.New(t)))
		run(t, pool, `CREATE TABLE t (n int)`, `INSERT INTO t VALUES (1), (2)`)
		tx := begin(t, pool, nil)
		rows, err := tx.QueryContext(deadline(t), `SELECT n FROM t`)
		require.NoError(t, err)
		defer rows.Close()
		require.True(t, rows.Next())
		_, err = tx.ExecContext(deadline(t), `DROP TABLE t`)
		t.Log(err)
		requireFault(t, fault.Contention, code("SQLite code 6"), err) // SQLITE_LOCKED
	})
}

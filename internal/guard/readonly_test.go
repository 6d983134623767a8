package guard_test

import (
	"context"
	"database/sql"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/internal/dbtest"
	"github.com/entsession/entsession/internal/fault"
)

// readOnly makes one connection so, as a failover does to all.
var readOnly = map[string]string{
	dbtest.Postgres: `SET default_transaction_read_only = on`,
	dbtest.MySQL:    `SET SESSION tx_read_only = 1`,
	dbtest.SQLite:   `PRAGMA query_only = 1`,
}

const write = `INSERT INTO t VALUES (1)`

func TestReadOnlyConnectionIsDropped(t *testing.T) {
	for name, use := range map[string]func(context.Context, *sql.DB) error{
		"exec": func(ctx context.Context, pool *sql.DB) error {
			_, err := pool.ExecContext(ctx, write)
			return err
		},
		"query": func(ctx context.Context, pool *sql.DB) error {
			var n int
			return pool.QueryRowContext(ctx, write+` RETURNING n`).Scan(&n)
		},
		"statement exec": func(ctx context.Context, pool *sql.DB) error {
			stmt, err := pool.PrepareContext(ctx, write)
			if err != nil {
				return err
			}
			defer stmt.Close()
			_, err = stmt.ExecContext(ctx)
			return err
		},
		"statement query": func(ctx context.Context, pool *sql.DB) error {
			stmt, err := pool.PrepareContext(ctx, write+` RETURNING n`)
			if err != nil {
				return err
			}
			defer stmt.Close()
			var n int
			return stmt.QueryRowContext(ctx).Scan(&n)
		},
		"transaction": func(ctx context.Context, pool *sql.DB) error {
			tx, err := pool.BeginTx(ctx, nil)
			if err != nil {
				return err
			}
			defer func() { _ = tx.Rollback() }()
			_, err = tx.ExecContext(ctx, write)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			forEach(t, func(t *testing.T, db *dbtest.DB) {
				pool := open(t, db.Kind.Dialect, settings(db, never))
				run(t, pool, `CREATE TABLE t (n int)`)
				pool.SetMaxOpenConns(1)
				for range 3 { // more often than all connections are replaced
					run(t, pool, readOnly[db.Kind.Dialect])
					err := use(deadline(t), pool)
					require.Equal(t, fault.ReadOnly, fault.Of(err), "%v", err)
					require.NoError(t, use(deadline(t), pool))
				}
			})
		})
	}
}

// MySQL says it at the commit only when the server became read-only during the transaction.
func TestReadOnlyAtCommit(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds(dbtest.MySQL) {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			db := kind.Start(t).New(t)
			pool := open(t, kind.Dialect, settings(db, never))
			run(t, pool, `CREATE TABLE t (n int)`)
			pool.SetMaxOpenConns(1)
			id := number(t, pool, connectionID[kind.Dialect])
			tx, err := pool.BeginTx(deadline(t), nil)
			require.NoError(t, err)
			run(t, tx, write)
			super := db.Super(t)
			run(t, super, `SET GLOBAL read_only = 1`)
			err = tx.Commit()
			require.Equal(t, fault.ReadOnly, fault.Of(err), "%v", err)
			require.NotEqual(t, id, number(t, pool, connectionID[kind.Dialect]))
			run(t, super, `SET GLOBAL read_only = 0`)
		})
	}
}

// A failover makes all connections of a pool read-only. The first error replaces them all.
func TestReadOnlyPoolIsReplaced(t *testing.T) {
	forEach(t, func(t *testing.T, db *dbtest.DB) {
		pool := open(t, db.Kind.Dialect, settings(db, never))
		run(t, pool, `CREATE TABLE t (n int)`)
		conns := connections(t, pool, 4)
		for _, c := range conns {
			run(t, c, readOnly[db.Kind.Dialect])
		}
		giveBack(t, conns)
		_, err := pool.ExecContext(deadline(t), write)
		require.Equal(t, fault.ReadOnly, fault.Of(err), "%v", err)
		for range 8 {
			run(t, pool, write)
		}
	})
}

// So does a network that broke: of several dead connections, one gives an error.
func TestBrokenPoolIsReplaced(t *testing.T) {
	forEach(t, func(t *testing.T, db *dbtest.DB) {
		line := newProxy(t, db.Host, db.Port)
		s := settings(db, never)
		s.Port = line.port
		pool := open(t, db.Kind.Dialect, s)
		giveBack(t, connections(t, pool, 4))
		line.cut()
		_, err := pool.ExecContext(deadline(t), `SELECT 1`)
		require.Equal(t, fault.Lost, fault.Of(err), "%v", err)
		for range 8 {
			run(t, pool, `SELECT 1`)
		}
	}, dbtest.Postgres, dbtest.MySQL)
}

// A statement that was cancelled costs its own connection, and no other.
func TestCancelKeepsPool(t *testing.T) {
	forEach(t, func(t *testing.T, db *dbtest.DB) {
		pool := open(t, db.Kind.Dialect, settings(db, never))
		conns := connections(t, pool, 2)
		kept := number(t, conns[0], connectionID[db.Kind.Dialect])
		giveBack(t, conns[:1])
		ctx, cancel := context.WithTimeout(context.Background(), 20*1e6)
		defer cancel()
		slow := map[string]string{dbtest.Postgres: `SELECT pg_sleep(60)`, dbtest.MySQL: `SELECT SLEEP(60)`}[db.Kind.Dialect]
		_, err := conns[1].ExecContext(ctx, slow)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		_, err = conns[1].ExecContext(deadline(t), `SELECT 1`)
		require.Error(t, err)
		_ = conns[1].Close()
		require.Equal(t, kept, number(t, pool, connectionID[db.Kind.Dialect]))
	}, dbtest.Postgres, dbtest.MySQL)
}

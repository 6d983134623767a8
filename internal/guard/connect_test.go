package guard_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/internal/dbtest"
	"github.com/entsession/entsession/internal/fault"
	"github.com/entsession/entsession/internal/guard"
)

// A temporary table exists on the connection that made it only, on every database.
var onConnect = []string{`CREATE TEMPORARY TABLE prepared (n int)`, `INSERT INTO prepared VALUES (42)`}

const wasPrepared = `SELECT n FROM prepared`

func TestOnConnect(t *testing.T) {
	forEach(t, func(t *testing.T, db *dbtest.DB) {
		s := settings(db, always)
		s.OnConnect = onConnect
		pool := open(t, db.Kind.Dialect, s)
		conns := connections(t, pool, 3)
		for _, c := range conns {
			require.Equal(t, 42, number(t, c, wasPrepared))
		}
		giveBack(t, conns)
		require.Equal(t, 42, number(t, pool, wasPrepared))

		if db.Kind.Dialect == dbtest.SQLite {
			pool.SetMaxIdleConns(-1) // closes all
		} else {
			conn := connections(t, pool, 1)
			id := number(t, conn[0], connectionID[db.Kind.Dialect])
			giveBack(t, conn)
			pool.SetMaxIdleConns(1) // the one used last
			kill(t, db, id)
			require.NotEqual(t, id, number(t, pool, connectionID[db.Kind.Dialect]))
		}
		require.Equal(t, 42, number(t, pool, wasPrepared), "after a reconnect")
	})
}

func TestOnConnectFails(t *testing.T) {
	forEach(t, func(t *testing.T, db *dbtest.DB) {
		for name, c := range map[string]struct{ statement, code string }{
			"syntax": {`SET hunter2 hunter2`, map[string]string{dbtest.Postgres: "SQLSTATE 42601", dbtest.MySQL: "error 1064", dbtest.SQLite: "SQLite code 1"}[db.Kind.Dialect]},
			"table":  {`INSERT INTO hunter2 VALUES ('hunter2')`, map[string]string{dbtest.Postgres: "SQLSTATE 42P01", dbtest.MySQL: "error 1146", dbtest.SQLite: "SQLite code 1"}[db.Kind.Dialect]},
		} {
			s := settings(db, never)
			s.OnConnect = []string{`SELECT 1`, c.statement, `SELECT 2`}
			err := open(t, db.Kind.Dialect, s).PingContext(deadline(t))
			require.ErrorContains(t, err, "on_connect statement 2 of 3", name)
			require.ErrorContains(t, err, c.code, name)
			for e := err; e != nil; e = errors.Unwrap(e) {
				require.NotContains(t, fmt.Sprintf("%+v", e), "hunter2", name)
			}
			require.Equal(t, fault.Other, fault.Of(err), name)
		}
		if db.Kind.Dialect == dbtest.SQLite {
			return
		}
		mine := map[string]string{
			dbtest.Postgres: `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`,
			dbtest.MySQL:    `SELECT count(*) FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()`,
		}[db.Kind.Dialect]
		super := db.Super(t)
		require.Eventually(t, func() bool { return number(t, super, mine) == 0 }, patience, 1e6, "the connection was closed")
	})
}

// The time that OnConnect may take is the caller's too.
func TestOnConnectObeysContext(t *testing.T) {
	forEach(t, func(t *testing.T, db *dbtest.DB) {
		s := settings(db, never)
		s.OnConnect = []string{map[string]string{dbtest.Postgres: `SELECT pg_sleep(60)`, dbtest.MySQL: `SELECT SLEEP(60)`}[db.Kind.Dialect]}
		pool := open(t, db.Kind.Dialect, s)
		ctx, cancel := context.WithTimeout(context.Background(), 100*1e6)
		defer cancel()
		err := pool.PingContext(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, fault.Other, fault.Of(err))
	}, dbtest.Postgres, dbtest.MySQL)
}

type poor struct{ closed bool }

func (p *poor) Connect(context.Context) (driver.Conn, error) { return p, nil }
func (p *poor) Driver() driver.Driver                        { return nil }
func (p *poor) Prepare(string) (driver.Stmt, error)          { return nil, nil }
func (p *poor) Begin() (driver.Tx, error)                    { return nil, nil }
func (p *poor) Close() error                                 { p.closed = true; return nil }

// A driver without contexts is refused.
func TestPoorDriver(t *testing.T) {
	t.Parallel()
	var p poor
	_, err := guard.New(&p, guard.Options{Target: "x"}).Connect(deadline(t))
	require.ErrorContains(t, err, "*guard_test.poor can do too little")
	require.True(t, p.closed)
}

package guard_test

import (
	"context"
	"database/sql/driver"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/internal/dbtest"
)

// An idle connection that died is replaced, and nobody notices.
func TestIdleConnectionDies(t *testing.T) {
	forEach(t, func(t *testing.T, db *dbtest.DB) {
		pool := open(t, db.Kind.Dialect, settings(db, always))
		for range 3 {
			id := number(t, pool, connectionID[db.Kind.Dialect])
			kill(t, db, id)
			require.NotEqual(t, id, number(t, pool, connectionID[db.Kind.Dialect]))
		}
	}, dbtest.Postgres, dbtest.MySQL)
}

// Before the threshold it is not checked: the first to use it finds out.
func TestIdleConnectionDiesBeforeThreshold(t *testing.T) {
	forEach(t, func(t *testing.T, db *dbtest.DB) {
		pool := open(t, db.Kind.Dialect, settings(db, never))
		kill(t, db, number(t, pool, connectionID[db.Kind.Dialect]))
		_, err := pool.ExecContext(deadline(t), `SELECT 1`)
		require.Error(t, err)
		run(t, pool, `SELECT 1`)
	}, dbtest.Postgres, dbtest.MySQL)
}

// What goes over the line is the same for two equal statements, however long the pause between them, until the threshold.
func TestNoCheckBeforeThreshold(t *testing.T) {
	forEach(t, func(t *testing.T, db *dbtest.DB) {
		threshold := 1500 * time.Millisecond // more than the second after which pgx by itself would ask
		line := newProxy(t, db.Host, db.Port)
		s := settings(db, threshold)
		s.Port = line.port
		pool := open(t, db.Kind.Dialect, s)
		cost := func(q queryer) int64 {
			before := line.sent.Load()
			require.Equal(t, 1, number(t, q, `SELECT 1`))
			return line.sent.Load() - before
		}
		conn := connections(t, pool, 1)
		cost(conn[0])              // prepares it
		statement := cost(conn[0]) // nothing but the statement: the connection does not go back to the pool
		require.Equal(t, statement, cost(conn[0]))
		giveBack(t, conn)
		idle := func(d time.Duration) { <-time.After(d) }

		require.Equal(t, statement, cost(pool), "at once")
		idle(threshold * 3 / 4)
		require.Equal(t, statement, cost(pool), "before the threshold")
		idle(threshold * 3 / 4) // the time idled begins anew with each use
		require.Equal(t, statement, cost(pool), "before the threshold again")
		idle(threshold)
		require.Greater(t, cost(pool), statement, "past the threshold")
		require.Equal(t, statement, cost(pool), "after the check")
	}, dbtest.Postgres, dbtest.MySQL)
}

// A connection that was made but never used has idled too. sql.DB makes such: for a caller who got another one meanwhile.
func TestUnusedConnectionDies(t *testing.T) {
	forEach(t, func(t *testing.T, db *dbtest.DB) {
		type usable interface {
			driver.ExecerContext
			driver.QueryerContext
			driver.ConnPrepareContext
			driver.ConnBeginTx
		}
		uses := map[string]func(context.Context, usable) error{
			"exec":    func(ctx context.Context, c usable) error { _, err := c.ExecContext(ctx, `SELECT 1`, nil); return err },
			"query":   func(ctx context.Context, c usable) error { _, err := c.QueryContext(ctx, `SELECT 1`, nil); return err },
			"prepare": func(ctx context.Context, c usable) error { _, err := c.PrepareContext(ctx, `SELECT 1`); return err },
			"begin":   func(ctx context.Context, c usable) error { _, err := c.BeginTx(ctx, driver.TxOptions{}); return err },
		}
		line := newProxy(t, db.Host, db.Port)
		for name, use := range uses {
			for threshold, checked := range map[time.Duration]bool{always: true, never: false} {
				s := settings(db, threshold)
				s.Port = line.port
				conn, err := connector(t, db.Kind.Dialect, s).Connect(deadline(t))
				require.NoError(t, err)
				line.cut()
				err = use(deadline(t), conn.(usable))
				if name == "begin" && db.Kind.Dialect == dbtest.Postgres {
					require.Error(t, err) // without a check, pgx says ErrBadConn itself, and that is right: nothing was begun
				} else if checked {
					require.ErrorIs(t, err, driver.ErrBadConn, name)
				} else {
					require.NotErrorIs(t, err, driver.ErrBadConn, name)
				}
				_ = conn.Close()
			}
		}
	}, dbtest.Postgres, dbtest.MySQL)
}

// A caller who does not wait for the check gets the context's error, and at once.
func TestCheckObeysContext(t *testing.T) {
	forEach(t, func(t *testing.T, db *dbtest.DB) {
		line := newProxy(t, db.Host, db.Port)
		s := settings(db, always)
		s.Port = line.port
		pool := open(t, db.Kind.Dialect, s)
		run(t, pool, `SELECT 1`)
		line.mute.Store(true)
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		defer cancel()
		_, err := pool.ExecContext(ctx, `SELECT 1`)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		line.mute.Store(false)
		line.cut()
		run(t, pool, `SELECT 1`)
	}, dbtest.Postgres, dbtest.MySQL)
}

// SQLite has no server. Its connection dies when its file is not the one of that name any more.
func TestFileReplaced(t *testing.T) {
	forEach(t, func(t *testing.T, db *dbtest.DB) {
		for threshold, checked := range map[time.Duration]bool{always: true, never: false} {
			pool := open(t, db.Kind.Dialect, settings(db, threshold))
			run(t, pool, `CREATE TABLE t (n int)`, `INSERT INTO t VALUES (1)`)
			for _, suffix := range []string{"", "-wal", "-shm"} {
				require.NoError(t, os.Rename(db.File+suffix, db.File+".moved"+suffix))
			}
			other := open(t, db.Kind.Dialect, settings(db, never))
			run(t, other, `CREATE TABLE t (n int)`, `INSERT INTO t VALUES (2)`)
			want := 1
			if checked {
				want = 2
			}
			require.Equal(t, want, number(t, pool, `SELECT n FROM t`))
			require.NoError(t, pool.Close())
			require.NoError(t, other.Close())
			for _, f := range []string{db.File, db.File + ".moved"} {
				require.NoError(t, os.Remove(f))
			}
		}
	}, dbtest.SQLite)
}

// A pool whose server does not answer any more can be closed, and nothing of it is left: see TestMain.
func TestCloseOfMuteServer(t *testing.T) {
	forEach(t, func(t *testing.T, db *dbtest.DB) {
		line := newProxy(t, db.Host, db.Port)
		s := settings(db, never)
		s.Port = line.port
		pool := open(t, db.Kind.Dialect, s)
		run(t, pool, `SELECT 1`)
		line.mute.Store(true)
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		defer cancel()
		_, err := pool.ExecContext(ctx, `SELECT 1`)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		start := time.Now()
		require.NoError(t, pool.Close())
		require.Less(t, time.Since(start), 10*time.Second)
	}, dbtest.Postgres, dbtest.MySQL)
}

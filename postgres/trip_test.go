package postgres

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/internal/dbtest"
	"github.com/entsession/entsession/internal/fault"
	"github.com/entsession/entsession/internal/wire"
)

// onTrip runs f with a connection, on each server.
func onTrip(t *testing.T, f func(t *testing.T, c *conn)) {
	forEach(t, func(t *testing.T, db *dbtest.DB) {
		config, err := configure(settings(db))
		require.NoError(t, err)
		onConfig(t, config, func(c *conn) { f(t, c) })
	})
}

func onConfig(t *testing.T, config *pgx.ConnConfig, f func(c *conn)) {
	pool := sql.OpenDB(newConnector(config))
	defer func() { require.NoError(t, pool.Close()) }()
	on(t, pool, func(direct wire.Direct) { f(direct.(*conn)) })
}

func (c *conn) do(t *testing.T, text string) error {
	_, err := c.RunDirect(deadline(t), time.Minute, text, nil, nil)
	return err
}

// Several statements travel in one trip and in one transaction, each with its own text, arguments and columns.
func TestEach(t *testing.T) {
	onTrip(t, func(t *testing.T, c *conn) {
		changed := make([]int64, 5)
		each := func(statement wire.Statement, n int) (got map[int]string, err error) {
			got = map[int]string{}
			return got, c.RunEach(deadline(t), time.Minute, n, statement, func(i int, r wire.Raw) error {
				v, err := r.Value(0)
				got[i] += fmt.Sprint(v)
				return err
			}, changed)
		}
		require.NoError(t, c.do(t, `CREATE TEMPORARY TABLE t (n integer UNIQUE)`))
		long := strings.Repeat("x", 100_000)
		got, err := each(func(i int, args []any) (string, []any) {
			switch i {
			case 0:
				return `SELECT set_config('lock_timeout', '250', true)`, args
			case 1:
				return `INSERT INTO t VALUES ($1::text::integer)`, append(args, "7")
			case 2:
				return `SELECT n::text, $1::text FROM t`, append(args, long)
			case 3:
				return `SELECT n::text FROM generate_series(1, 3) AS n`, args
			}
			return `SELECT count(*) + $1::bigint FROM t WHERE current_setting('lock_timeout') = '250ms'`, append(args, int64(6))
		}, 5)
		require.NoError(t, err)
		require.Equal(t, map[int]string{0: "250ms", 2: "7", 3: "123", 4: "7"}, got)
		require.Equal(t, []int64{1, 1, 1, 3, 1}, changed)
		setting := ""
		_, err = c.RunDirect(deadline(t), time.Minute, `SELECT current_setting('lock_timeout')`, nil, func(r wire.Raw) error {
			setting = string(r.Bytes(0))
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, "0", setting, "it ends with the transaction")

		// One fails: none has happened, and the connection goes on.
		insert := func(i int, args []any) (string, []any) {
			return `INSERT INTO t VALUES ($1::text::integer) RETURNING n::text`, append(args, []string{"8", "9", "7", "10"}[i])
		}
		_, err = each(insert, 4)
		require.Equal(t, fault.Duplicate, fault.Of(err))
		require.True(t, c.IsValid())
		got, err = each(insert, 2)
		require.NoError(t, err)
		require.Equal(t, map[int]string{0: "8", 1: "9"}, got)

		// So it does when the rows are refused.
		refused, asked := errors.New("refused"), 0
		numbers := func(_ int, args []any) (string, []any) {
			return `SELECT n::text FROM generate_series(1, 1000) AS n`, args
		}
		require.Equal(t, refused, c.RunEach(deadline(t), time.Minute, 2, numbers, func(int, wire.Raw) error { asked++; return refused }, nil))
		require.Equal(t, 1, asked)
		require.True(t, c.IsValid())

		// A panic in their midst leaves nothing armed, and a connection that is of no use any more.
		require.Panics(t, func() {
			_ = c.RunEach(deadline(t), time.Minute, 2, numbers, func(int, wire.Raw) error { panic("row") }, nil)
		})
		require.False(t, c.watching.under)
		require.False(t, c.IsValid())
	})
}

// What the server says besides its answers reaches whoever wants to hear it.
func TestAsides(t *testing.T) {
	forEach(t, func(t *testing.T, db *dbtest.DB) {
		config, err := configure(settings(db))
		require.NoError(t, err)
		var heard []string
		config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { heard = append(heard, n.Severity+" "+n.Message) }
		config.OnNotification = func(_ *pgconn.PgConn, n *pgconn.Notification) { heard = append(heard, n.Channel+" "+n.Payload) }
		inner := config.OnPgError
		config.OnPgError = func(c *pgconn.PgConn, e *pgconn.PgError) bool { heard = append(heard, e.Code); return inner(c, e) }
		onConfig(t, config, func(c *conn) {
			require.NoError(t, c.do(t, `LISTEN channel`))
			require.NoError(t, c.do(t, `NOTIFY channel, 'payload'`))
			require.NoError(t, c.do(t, `DO $$ BEGIN RAISE WARNING 'look out'; END $$`))
			require.NoError(t, c.do(t, `SET application_name = 'another'`))
			require.ErrorContains(t, c.do(t, `SELECT 1 / 0`), "division by zero")
			require.NoError(t, c.do(t, `SELECT 1`))
			require.True(t, c.IsValid())
		})
		require.Equal(t, []string{"channel payload", "WARNING look out", "22012"}, heard)
	})
}

// A connection of which it is not known what the server will say next is not used again.
func TestAbandoned(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		want fault.Kind
	}{
		"the server ends it":         {`SELECT pg_terminate_backend(pg_backend_pid())`, fault.Lost},
		"a transaction is left open": {`BEGIN`, fault.Other},
		"it wants a copy":            {`COPY (SELECT 1) TO STDOUT`, fault.Lost},
	} {
		t.Run(name, func(t *testing.T) {
			onTrip(t, func(t *testing.T, c *conn) {
				err := c.do(t, test.text)
				require.Error(t, err)
				require.Equal(t, test.want, fault.Of(err), "%v", err)
				require.False(t, c.IsValid())
				require.Eventually(t, func() bool {
					select {
					case <-c.Conn.Conn().PgConn().CleanupDone():
						return true
					default:
						return false
					}
				}, time.Minute, time.Millisecond, "it is closed")
			})
		})
	}
	t.Run("it can't be written to", func(t *testing.T) {
		onTrip(t, func(t *testing.T, c *conn) {
			require.NoError(t, c.do(t, `SELECT 1`))
			require.NoError(t, c.Conn.Conn().PgConn().Conn().Close())
			err := c.do(t, `SELECT 1`)
			require.Equal(t, fault.NotSent, fault.Of(err), "%v", err)
			require.False(t, c.IsValid())
		})
	})
}

func TestCount(t *testing.T) {
	for tag, want := range map[string]int64{"UPDATE 1": 1, "INSERT 0 12": 12, "SELECT 1000000": 1_000_000, "SET": 0, "": 0, "DELETE 0": 0} {
		require.Equal(t, want, count([]byte(tag)), tag)
	}
}

// TestPlannedAnew: a statement is prepared again when its plan is old, the older it is the more seldom.
func TestPlannedAnew(t *testing.T) {
	onTrip(t, func(t *testing.T, c *conn) {
		const text = `SELECT prepare_time::text FROM pg_prepared_statements WHERE statement = $1::text`
		run := func() (prepared string) {
			t.Helper()
			_, err := c.RunDirect(deadline(t), time.Minute, text, []any{text}, func(r wire.Raw) error {
				prepared = string(r.Bytes(0))
				return nil
			})
			require.NoError(t, err)
			require.NotEmpty(t, prepared)
			return prepared
		}
		each := func() {
			statement := func(_ int, args []any) (string, []any) { return text, append(args, text) }
			require.NoError(t, c.RunEach(deadline(t), time.Minute, 3, statement, func(int, wire.Raw) error { return nil }, nil))
		}
		_ = run()
		require.NoError(t, c.do(t, `SELECT 1`))
		for _, p := range c.statements {
			p.until = time.Now()
		}
		require.NoError(t, c.RunEach(deadline(t), time.Minute, 2, func(i int, args []any) (string, []any) {
			if i == 0 {
				return `SELECT 1`, args
			}
			return text, append(args, text)
		}, func(int, wire.Raw) error { return nil }, nil))
		require.Equal(t, []time.Duration{8 * time.Second, time.Second}, []time.Duration{c.statements[`SELECT 1`].lasts, c.statements[text].lasts}, "one in a trip")
		delete(c.statements, text)

		last := run()
		for _, lasts := range []time.Duration{time.Second, 8 * time.Second, 64 * time.Second, 512 * time.Second, time.Hour, time.Hour} {
			p := c.statements[text]
			require.Equal(t, lasts, p.lasts)
			require.WithinDuration(t, time.Now().Add(lasts), p.until, 900*time.Millisecond)
			require.Equal(t, last, run())
			p.until = time.Now()
			each()
			require.NotSame(t, p, c.statements[text])
			now := run()
			require.NotEqual(t, last, now)
			last = now
		}

		// A write whose connection turns out to be broken then has not happened.
		ended := errors.Join(c.do(t, `SELECT 1`), c.Conn.Conn().PgConn().Conn().SetDeadline(time.Unix(1, 0)))
		require.NoError(t, ended)
		c.statements[text].until = time.Now()
		_, err := c.RunDirect(deadline(t), time.Minute, text, []any{text}, nil)
		require.Equal(t, fault.NotSent, fault.Of(err), "%v", err)
		require.False(t, c.IsValid())
	})
}

package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/internal/dbtest"
	"github.com/entsession/entsession/internal/wire"
)

// direct runs a statement that gives one text, on a connection of its own so that nothing is left of one before.
func direct(t *testing.T, pool *sql.DB, query string, args ...any) (answer string) {
	t.Helper()
	on(t, pool, func(c wire.Direct) {
		n, err := c.RunDirect(deadline(t), time.Minute, query, args, func(r wire.Raw) error {
			answer = string(r.Bytes(0))
			return nil
		})
		require.NoError(t, err, query)
		require.EqualValues(t, 1, n)
	})
	return answer
}

func on(t *testing.T, pool *sql.DB, f func(wire.Direct)) {
	t.Helper()
	c, err := pool.Conn(deadline(t))
	require.NoError(t, err)
	gone := c.Raw(func(raw any) error { f(raw.(wire.Direct)); return driver.ErrBadConn }) // and the next one is new
	require.Equal(t, driver.ErrBadConn, gone)
	require.ErrorIs(t, c.Close(), sql.ErrConnDone)
}

// What the server gets is what pgx would send, whoever encodes it.
func TestArguments(t *testing.T) {
	forEach(t, func(t *testing.T, db *dbtest.DB) {
		pool := open(t, settings(db))
		empty, key, number := "", "k", int64(-1<<63)
		long := strings.Repeat("ü", 100_000)
		for _, test := range []struct {
			query string // of one text
			args  []any
			want  string
		}{
			{`SELECT quote_nullable($1::text)`, []any{""}, `''`},
			{`SELECT quote_nullable($1::text)`, []any{&empty}, `''`},
			{`SELECT quote_nullable($1::text) || quote_nullable($2::text)`, []any{"", ""}, `''''`},
			{`SELECT quote_nullable($1::bpchar)`, []any{&key}, `'k'`},
			{`SELECT quote_nullable($1::text)`, []any{nil}, `NULL`},
			{`SELECT $1::text || $2::text`, []any{long, "!"}, long + "!"},
			{`SELECT $1::bigint::text`, []any{int64(42)}, "42"},
			{`SELECT $1::bigint::text`, []any{&number}, "-9223372036854775808"},
			{`SELECT $1::integer::text`, []any{int64(42)}, "42"},
			{`SELECT $1::numeric::text`, []any{int64(42)}, "42"},
			{`SELECT $1::bigint::text`, []any{"42"}, "42"},
			{`SELECT $1::boolean::text`, []any{true}, "true"},
			{`SELECT encode($1::bytea, 'hex')`, []any{[]byte{0, 255}}, "00ff"},
			{`SELECT $1::text[]::text`, []any{[]string{"", "a", `",{}\`, "NULL"}}, `{"",a,"\",{}\\","NULL"}`},
			{`SELECT $1::bpchar[]::text`, []any{[]string{"a", "b"}}, `{a,b}`},
			{`SELECT $1::varchar[]::text`, []any{[]string{}}, `{}`},
			{`SELECT $1::bigint[]::text`, []any{[]int64{1, -1, number}}, `{1,-1,-9223372036854775808}`},
			{`SELECT $1::bigint[]::text`, []any{[]int64{}}, `{}`},
			{`SELECT $1::bigint[]::text`, []any{`{1,NULL}`}, `{1,NULL}`},
			{`SELECT $1::timestamptz[]::text`, []any{`{}`}, `{}`},
		} {
			require.Equal(t, test.want, direct(t, pool, test.query, test.args...), "%s with %v", test.query, test.args)
		}
		// One connection, one buffer: nothing of one statement is left in the next.
		on(t, pool, func(c wire.Direct) {
			for i := range 300 { // beyond what is kept prepared here
				want := strings.Repeat("x", i%7*20_000)
				got := "none"
				_, err := c.RunDirect(deadline(t), 0, fmt.Sprintf(`SELECT $1::text, %d`, i), []any{want}, func(r wire.Raw) error {
					got = string(r.Bytes(0))
					n, err := r.Int(1)
					require.EqualValues(t, i, n)
					return err
				})
				require.NoError(t, err)
				require.Equal(t, want, got)
			}
			_, err := c.RunDirect(deadline(t), 0, `SELECT $1::text`, []any{"a", "b"}, nil)
			require.ErrorContains(t, err, "expected 1 arguments, got 2")
		})
	})
}

// A time is in the second that the server puts it in.
func TestSecond(t *testing.T) {
	forEach(t, func(t *testing.T, db *dbtest.DB) {
		on(t, open(t, settings(db)), func(c wire.Direct) {
			for _, at := range []string{
				"2026-11-23 12:00:00+00", "2026-11-23 12:00:00.999999+05:30", "2000-01-01 00:00:00+00", "1999-12-31 23:59:59.999999+00", "1969-12-31 23:59:59.5+00",
			} {
				_, err := c.RunDirect(deadline(t), 0, `SELECT $1::text::timestamptz, floor(EXTRACT(epoch FROM $1::text::timestamptz))::bigint`, []any{at}, func(r wire.Raw) error {
					want, err := r.Int(1)
					require.NoError(t, err)
					got, err := r.Second(0)
					require.NoError(t, err)
					require.Equal(t, want, got, at)
					_, err = r.Second(1)
					require.ErrorContains(t, err, "a time in binary was expected")
					return nil
				})
				require.NoError(t, err)
			}
		})
	})
}

// A statement ends with its context and with its limit, and its connection with it; the one after on the same connection, with neither.
func TestInterrupt(t *testing.T) {
	forEach(t, func(t *testing.T, db *dbtest.DB) {
		pool := open(t, settings(db))
		on(t, pool, func(c wire.Direct) {
			ctx, cancel := context.WithCancel(deadline(t))
			for range 100 {
				_, err := c.RunDirect(ctx, time.Minute, `SELECT 1`, nil, nil)
				require.NoError(t, err)
			}
			cancel()
			_, err := c.RunDirect(deadline(t), time.Minute, `SELECT 1`, nil, nil)
			require.NoError(t, err, "the end of a context that is not its own")
			require.True(t, c.(driver.Validator).IsValid())

			_, err = c.RunDirect(deadline(t), 50*time.Millisecond, `SELECT pg_sleep(600)`, nil, nil)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.ErrorContains(t, err, "no answer within 50ms")
			require.False(t, c.(driver.Validator).IsValid())
		})
		on(t, pool, func(c wire.Direct) {
			ctx, cancel := context.WithCancel(deadline(t))
			asleep := make(chan error, 1)
			go func() {
				_, err := c.RunDirect(ctx, time.Minute, `SELECT pg_sleep(600)`, nil, nil)
				asleep <- err
			}()
			admin := db.Super(t)
			require.Eventually(t, func() bool {
				return text(t, admin, `SELECT count(*)::text FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)' AND state = 'active' AND datname = current_database()`) == "1"
			}, time.Minute, time.Millisecond)
			cancel()
			require.ErrorIs(t, <-asleep, context.Canceled)
			require.False(t, c.(driver.Validator).IsValid())
			require.Eventually(t, func() bool {
				return text(t, admin, `SELECT count(*)::text FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)' AND state = 'active' AND datname = current_database()`) == "0"
			}, time.Minute, time.Millisecond, "the server was told")
		})
	})
}

// What was to end a statement may come when the next one is under way.
func TestInterruptTooLate(t *testing.T) {
	config, err := configure(settings(dbtest.Kinds(dbtest.Postgres)[0].New(t)))
	require.NoError(t, err)
	pool := sql.OpenDB(newConnector(config))
	defer func() { require.NoError(t, pool.Close()) }()
	on(t, pool, func(direct wire.Direct) {
		c := direct.(*conn)
		_, err := c.RunDirect(deadline(t), time.Minute, `SELECT 1`, nil, nil)
		require.NoError(t, err)
		late := c.watching.begun
		time.AfterFunc(100*time.Millisecond, func() { c.interrupt(late, context.Canceled) })
		_, err = c.RunDirect(deadline(t), time.Minute, `SELECT pg_sleep(0.3)`, nil, nil)
		require.NoError(t, err)
		require.True(t, c.IsValid())
	})
}

// Whoever wants statements sent in another way, or traced, gets that.
func TestNotPrepared(t *testing.T) {
	forEach(t, func(t *testing.T, db *dbtest.DB) {
		for mode, want := range map[string]string{"cache_statement": "1", "exec": "0", "simple_protocol": "0"} {
			s := settings(db)
			s.Params = map[string]string{"default_query_exec_mode": mode}
			on(t, open(t, s), func(c wire.Direct) {
				for range 2 {
					_, err := c.RunDirect(deadline(t), 0, `SELECT $1::text`, []any{"x"}, nil)
					require.NoError(t, err)
				}
				got := ""
				_, err := c.RunDirect(deadline(t), 0, `SELECT count(*)::text FROM pg_prepared_statements WHERE statement = 'SELECT $1::text'`, nil, func(r wire.Raw) error {
					got = string(r.Bytes(0))
					return nil
				})
				require.NoError(t, err)
				require.Equal(t, want, got, mode)
			})
		}
	})
}

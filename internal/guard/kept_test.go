package guard_test

import (
	"context"
	"fmt"
	"testing"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/internal/dbtest"
	"github.com/entsession/entsession/internal/fault"
	"github.com/entsession/entsession/internal/wire"
)

// keeping runs f in a transaction on the only connection of a pool.
func keeping(t *testing.T, db *dbtest.DB) func(f func(context.Context, wire.Querier) error) error {
	pool := open(t, db.Kind.Dialect, settings(db, never))
	pool.SetMaxOpenConns(1)
	p := wire.Of(entsql.OpenDB(db.Kind.Dialect, pool), 0).(*wire.Pool)
	return func(f func(context.Context, wire.Querier) error) error {
		_, err := p.Tx(deadline(t), f)
		return err
	}
}

// answer is the first column of the only row.
func answer(ctx context.Context, q wire.Querier, text string, args ...any) (n int64, err error) {
	err = q.Query(ctx, text, args, func(row wire.Row) (err error) {
		n, err = row.Int(0)
		return err
	})
	return n, err
}

// spent is how often the connection has prepared, run and closed statements.
func spent(t *testing.T, ctx context.Context, q wire.Querier) (prepared, run, closed int64) {
	t.Helper()
	for name, n := range map[string]*int64{"prepare": &prepared, "execute": &run, "close": &closed} {
		require.NoError(t, q.Query(ctx, "SHOW SESSION STATUS LIKE 'Com_stmt_"+name+"'", nil, func(row wire.Row) (err error) {
			*n, err = row.Int(1)
			return err
		}))
	}
	return prepared, run, closed
}

func TestKept(t *testing.T) {
	forEach(t, func(t *testing.T, db *dbtest.DB) {
		tx := keeping(t, db)
		run(t, db.Admin(t), `CREATE TABLE t (n int PRIMARY KEY)`)
		for range 2 { // they outlive the transaction
			require.NoError(t, tx(func(ctx context.Context, q wire.Querier) error {
				kept, ok := wire.Kept(q)
				require.True(t, ok)
				for i := range int64(3) {
					n, err := answer(ctx, kept, `SELECT ? + 1`, i)
					require.NoError(t, err)
					require.Equal(t, i+1, n)
				}
				res, err := kept.Exec(ctx, `DELETE FROM t WHERE n = ?`, []any{int64(7)})
				require.NoError(t, err)
				gone, err := res.RowsAffected()
				require.NoError(t, err)
				res, err = kept.Exec(ctx, `INSERT INTO t VALUES (?)`, []any{int64(7)})
				require.NoError(t, err)
				added, err := res.RowsAffected()
				require.NoError(t, err)
				require.Equal(t, int64(1), added)
				_, times, _ := spent(t, ctx, q)
				require.Equal(t, []int64{0, 1}[times/6], gone)
				return nil
			}))
		}
		require.NoError(t, tx(func(ctx context.Context, q wire.Querier) error {
			prepared, times, closed := spent(t, ctx, q)
			require.Equal(t, []int64{3, 10, 0}, []int64{prepared, times, closed})

			// One that fails is prepared anew.
			kept, _ := wire.Kept(q)
			_, err := kept.Exec(ctx, `INSERT INTO t VALUES (?)`, []any{int64(7)})
			require.Equal(t, fault.Duplicate, fault.Of(err))
			_, err = kept.Exec(ctx, `INSERT INTO t VALUES (?)`, []any{int64(8)})
			require.NoError(t, err)
			prepared, _, closed = spent(t, ctx, q)
			require.Equal(t, []int64{4, 1}, []int64{prepared, closed})

			ended, cancel := context.WithCancel(ctx)
			cancel()
			_, err = kept.Exec(ended, `INSERT INTO t VALUES (?)`, []any{int64(9)})
			require.ErrorIs(t, err, context.Canceled)
			return nil
		}))
	}, dbtest.MySQL)
}

// TestKeptBounded: what is more than a connection keeps is sent as text.
func TestKeptBounded(t *testing.T) {
	forEach(t, func(t *testing.T, db *dbtest.DB) {
		require.NoError(t, keeping(t, db)(func(ctx context.Context, q wire.Querier) error {
			kept, _ := wire.Kept(q)
			for range 2 {
				for i := range 100 {
					n, err := answer(ctx, kept, fmt.Sprintf(`SELECT ? + %d`, i), int64(1))
					require.NoError(t, err)
					require.Equal(t, int64(1+i), n)
				}
			}
			prepared, times, closed := spent(t, ctx, q)
			require.Equal(t, []int64{64, 128, 0}, []int64{prepared, times, closed})
			return nil
		}))
	}, dbtest.MySQL)
}

// TestKeptRefused: what the server prepares for no one it is sent as text, and so is all that follows. After any other error nothing is sent: the transaction
// may be gone.
func TestKeptRefused(t *testing.T) {
	forEach(t, func(t *testing.T, db *dbtest.DB) {
		require.NoError(t, keeping(t, db)(func(ctx context.Context, q wire.Querier) error {
			kept, _ := wire.Kept(q)
			_, err := kept.Exec(ctx, `INSERT INTO nowhere VALUES (?)`, []any{int64(1)})
			require.Equal(t, fault.NoTable, fault.Of(err))
			var inserts int64
			require.NoError(t, q.Query(ctx, "SHOW SESSION STATUS LIKE 'Com_insert'", nil, func(row wire.Row) (err error) {
				inserts, err = row.Int(1)
				return err
			}))
			require.Zero(t, inserts, "sent as text")
			_, ok := wire.Kept(q)
			require.True(t, ok)

			_, err = kept.Exec(ctx, `EXECUTE nothing`, nil)
			require.Equal(t, "error 1243", fault.Code(err), "the text's own error")
			_, ok = wire.Kept(q)
			require.False(t, ok)
			n, err := answer(ctx, kept, `SELECT ? + 1`, int64(1))
			require.NoError(t, err)
			require.Equal(t, int64(2), n)
			_, times, _ := spent(t, ctx, q)
			require.Zero(t, times)
			return nil
		}))
	}, dbtest.MySQL)
}

// TestKeptTooMany: a connection that may prepare no more gives back those it has, for they are others' too.
func TestKeptTooMany(t *testing.T) {
	t.Parallel()
	server := kinds(dbtest.MySQL)[0].Start(t, dbtest.Setting("max_prepared_stmt_count", "3"))
	tx := keeping(t, server.AsKind().New(t))
	require.NoError(t, tx(func(ctx context.Context, q wire.Querier) error {
		kept, _ := wire.Kept(q)
		for i := range int64(5) {
			n, err := answer(ctx, kept, fmt.Sprintf(`SELECT ? + %d`, i), i)
			require.NoError(t, err)
			require.Equal(t, 2*i, n)
		}
		_, times, closed := spent(t, ctx, q)
		require.Equal(t, []int64{3, 3}, []int64{times, closed})
		_, ok := wire.Kept(q)
		require.False(t, ok)
		return nil
	}))
}

// TestKeptLost: something on the way loses prepared statements. From then on no connection keeps any.
func TestKeptLost(t *testing.T) {
	forEach(t, func(t *testing.T, db *dbtest.DB) {
		tx := keeping(t, db)
		run(t, db.Admin(t), `CREATE PROCEDURE lost() EXECUTE nothing`)
		require.Error(t, tx(func(ctx context.Context, q wire.Querier) error {
			kept, ok := wire.Kept(q)
			require.True(t, ok)
			_, err := kept.Exec(ctx, `CALL lost()`, nil)
			require.Equal(t, "error 1243", fault.Code(err))
			return err
		}))
		require.NoError(t, tx(func(ctx context.Context, q wire.Querier) error {
			prepared, _, _ := spent(t, ctx, q)
			require.Zero(t, prepared, "another connection")
			_, ok := wire.Kept(q)
			require.False(t, ok)
			return nil
		}))
	}, dbtest.MySQL)
}

// TestKeptForLong: after ten thousand times it is prepared anew.
func TestKeptForLong(t *testing.T) {
	forEach(t, func(t *testing.T, db *dbtest.DB) {
		require.NoError(t, keeping(t, db)(func(ctx context.Context, q wire.Querier) error {
			kept, _ := wire.Kept(q)
			for i := range int64(10_001) {
				n, err := answer(ctx, kept, `SELECT ? + 1`, i)
				require.NoError(t, err)
				require.Equal(t, i+1, n)
			}
			prepared, times, closed := spent(t, ctx, q)
			require.Equal(t, []int64{2, 10_001, 1}, []int64{prepared, times, closed})
			return nil
		}))
	}, dbtest.MySQL)
}

// TestKeptNowhere: those of the others' connections are all kept anyway.
func TestKeptNowhere(t *testing.T) {
	forEach(t, func(t *testing.T, db *dbtest.DB) {
		require.NoError(t, keeping(t, db)(func(ctx context.Context, q wire.Querier) error {
			same, ok := wire.Kept(q)
			require.False(t, ok)
			require.Same(t, q, same)
			return nil
		}))
	}, dialect.Postgres, dialect.SQLite)
}

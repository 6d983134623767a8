package entsession_test

import (
	"context"
	"database/sql"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/internal/dbtest"
)

// readOnly makes a database refuse writes, and takes that back.
func readOnly(t *testing.T, db *dbtest.DB, super *sql.DB, on bool) {
	t.Helper()
	value := map[bool]string{true: "1", false: "0"}[on]
	if db.Kind.Dialect == dbtest.MySQL {
		execAll(t, super, `SET GLOBAL read_only = `+value)
		return
	}
	execAll(t, super, `SET default_transaction_read_only = 0`, `ALTER DATABASE `+db.Name+` SET default_transaction_read_only = `+value,
		`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND usename = '`+db.User+`'`)
}

// A server that answers, and takes no writes: what each call would try again, all together do within a bound.
func TestRetryBudget(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for _, kind := range []dbtest.Kind{dbtest.Kinds(dbtest.Postgres)[0], dbtest.Kinds(dbtest.MySQL)[0]} {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			db := kind.Start(t).New(t)
			s := migrated(t, db)
			sess, err := s.Create(ctx, nil)
			require.NoError(t, err)
			require.Equal(t, 5000, entsession.RetriesLeft(s))
			super := db.Super(t)
			super.SetMaxOpenConns(1)
			defer super.Close() // it would outlive the server
			readOnly(t, db, super, true)

			fails := func() (retries, refused uint64) {
				before := s.Stats()
				_, err := s.Create(ctx, nil)
				require.ErrorIs(t, err, entsession.ErrUnavailable)
				after := s.Stats()
				return after.Retries - before.Retries, after.RetriesRefused - before.RetriesRefused
			}
			retries, refused := fails()
			require.EqualValues(t, 5, retries, "as often as a call may")
			require.Zero(t, refused)

			entsession.SpendRetries(s, 7)
			total := uint64(0)
			for range 4 {
				retries, refused = fails()
				total += retries
			}
			require.EqualValues(t, 7, total, "what was left")
			require.EqualValues(t, 0, retries)
			require.EqualValues(t, 1, refused)

			// Ten calls that succeed earn one.
			for range 19 {
				_, err := s.Load(ctx, sess.ID())
				require.NoError(t, err)
			}
			retries, refused = fails()
			require.EqualValues(t, 1, retries)
			require.EqualValues(t, 1, refused)

			// A second gives ten.
			entsession.SpendRetries(s, 0)
			entsession.TimeGivesRetries(s, time.Second)
			began := time.Now()
			retries, _ = fails()
			given := int(retries) + entsession.RetriesLeft(s)
			require.GreaterOrEqual(t, given, 10)
			require.LessOrEqual(t, given, 11+int(time.Since(began)/(time.Second/10)))

			entsession.TimeGivesRetries(s, 24*time.Hour)
			fails()
			require.GreaterOrEqual(t, entsession.RetriesLeft(s), 4995)
			require.LessOrEqual(t, entsession.RetriesLeft(s), 5000, "never more than all")

			// With nothing left, the first call after its return is served.
			entsession.SpendRetries(s, 0)
			fails()
			readOnly(t, db, super, false)
			require.Eventually(t, func() bool { _, err := s.Create(ctx, nil); return err == nil }, 2*time.Second, time.Millisecond)
		})
	}
}

// Contention is no sign that the database is away: whoever meets it goes on.
func TestContentionIsNotBudgeted(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for _, kind := range dbtest.Kinds() {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			db := kind.New(t)
			s := migrated(t, db, func(c *entsession.Config) {
				c.DisableBatching = true
				c.OnConnect = []string{map[string]string{
					dbtest.Postgres: `SET lock_timeout = '1ms'`, dbtest.MySQL: `SET SESSION innodb_lock_wait_timeout = 0`, dbtest.SQLite: `PRAGMA busy_timeout = 1`,
				}[kind.Dialect]}
			})
			sess, err := s.Create(ctx, nil)
			require.NoError(t, err)
			entsession.SpendRetries(s, 0)
			tx, err := db.Admin(t).BeginTx(ctx, nil)
			require.NoError(t, err)
			_, err = tx.Exec(`UPDATE sessions SET timeout = timeout`)
			require.NoError(t, err)
			deleted := make(chan error, 1)
			go func() { deleted <- s.Delete(ctx, sess.ID()) }()
			require.Eventually(t, func() bool { return s.Stats().Retries > 0 }, patience, time.Millisecond)
			require.NoError(t, tx.Rollback())
			require.NoError(t, <-deleted)
			require.Zero(t, s.Stats().RetriesRefused)
		})
	}
}

// A call that finds out that nobody has got a connection for a second does not try again. One that comes after the return is served by the first
// connection there is.
func TestNoRetryWhileAwayForLong(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for _, kind := range []dbtest.Kind{dbtest.Kinds(dbtest.Postgres)[0], dbtest.Kinds(dbtest.MySQL)[0]} {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			server := kind.Start(t)
			s := migrated(t, server.New(t))
			require.NoError(t, server.Kill())
			_, err := s.Create(ctx, nil)
			require.ErrorIs(t, err, entsession.ErrUnavailable)
			require.NotZero(t, s.Stats().Retries, "it may be a short restart")
			require.Eventually(t, func() bool {
				_, err = s.Create(ctx, nil)
				require.ErrorIs(t, err, entsession.ErrUnavailable)
				return strings.Contains(err.Error(), "in vain for")
			}, patience, time.Millisecond)
			before := s.Stats()
			_, err = s.Create(ctx, nil)
			require.ErrorContains(t, err, "in vain for")
			after := s.Stats()
			require.Equal(t, before.Retries, after.Retries)
			require.Equal(t, before.RetriesRefused+1, after.RetriesRefused)
			require.NoError(t, server.Restart())
			_, err = s.Create(ctx, nil)
			require.NoError(t, err)
		})
	}
}

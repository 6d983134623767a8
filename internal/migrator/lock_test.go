package migrator

import (
	"context"
	"database/sql"
	"strings"
	"testing"
	"time"

	"ariga.io/atlas/sql/migrate"
	"ariga.io/atlas/sql/mysql"
	"ariga.io/atlas/sql/postgres"
	"entgo.io/ent/dialect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/internal/dbtest"
)

// private is a database whose locks concern no other test: those of MySQL are the server's.
func private(t *testing.T, kind dbtest.Kind) *dbtest.DB {
	t.Helper()
	if kind.Dialect == dialect.MySQL {
		return kind.Start(t).New(t)
	}
	return kind.New(t)
}

// sleep is a statement that runs until it is cancelled.
var sleep = map[string]string{
	dialect.Postgres: "SELECT pg_sleep(600)",
	dialect.MySQL:    "DO SLEEP(600)",
	dialect.SQLite: "INSERT INTO `sessions` (`id`) SELECT 'x' WHERE (WITH RECURSIVE n(i) AS " +
		"(SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000000000) SELECT max(i) FROM n) < 0",
}

// A cancelled Apply returns at once, and leaves neither a lock nor a connection behind.
func TestCancelledWhileItWorks(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, kind dbtest.Kind) {
		db := private(t, kind)
		pool := db.Admin(t)
		pool.SetMaxOpenConns(1)
		files := three(kind.Dialect)
		files["2_add.sql"] = sleep[kind.Dialect] + ";\n"
		ctx, cancel := context.WithCancel(context.Background())
		asleep := make(chan struct{})
		drv := &hooked{openDriver(kind.Dialect, pool), func(_ context.Context, query string) error {
			if strings.HasPrefix(query, sleep[kind.Dialect]) {
				close(asleep)
			}
			return nil
		}}
		go func() {
			<-asleep
			waitUntilItSleeps(t, db)
			cancel()
		}()
		applied, err := Apply(ctx, Target{Driver: drv, files: directory(t, files)})
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, []string{"1"}, applied)

		// The same pool, and another process.
		for _, drv := range []dialect.Driver{openDriver(kind.Dialect, pool), driver(t, db)} {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			_, err = Apply(ctx, Target{Driver: drv, files: directory(t, three(kind.Dialect))})
			require.NoError(t, err)
		}
		requireComplete(t, db, "", three(kind.Dialect))
	})
}

// A context that ends between two statements kills no connection, which must not go back to its pool with the lock.
func TestCancelledBetweenStatements(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, kind dbtest.Kind) {
		db := private(t, kind)
		pool := db.Admin(t)
		ctx, cancel := context.WithCancel(context.Background())
		files := directory(t, three(kind.Dialect))
		applied, err := Apply(ctx, Target{Driver: openDriver(kind.Dialect, pool), files: files, Progress: func(version string, stmt, _ int) {
			if version != "2" || stmt != 1 {
				return
			}
			cancel()
			if kind.Dialect == dialect.MySQL {
				given := func() bool { return pool.Stats().InUse == 0 }
				assert.Never(t, given, 200*time.Millisecond, 5*time.Millisecond, "the connection went back with the lock")
			}
		}})
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, []string{"1"}, applied)

		ctx, cancel = context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		_, err = Apply(ctx, Target{Driver: driver(t, db), files: files})
		require.NoError(t, err)
		requireComplete(t, db, "", three(kind.Dialect))
	})
}

// waitUntilItSleeps waits for the server, because a cancellation that overtakes the statement does not reach it.
func waitUntilItSleeps(t *testing.T, db *dbtest.DB) {
	query := map[string]string{
		dialect.Postgres: "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'",
		dialect.MySQL:    "SELECT count(*) FROM information_schema.processlist WHERE info LIKE 'DO SLEEP%'",
		dialect.SQLite:   "SELECT 1", // it runs in this process
	}[db.Kind.Dialect]
	admin := db.Admin(t)
	assert.Eventually(t, func() bool {
		var n int
		return admin.QueryRow(query).Scan(&n) == nil && n == 1
	}, time.Minute, 10*time.Millisecond)
}

// While someone else migrates, Apply waits as long as its context allows, and no longer.
func TestWaitsForTheLock(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, kind dbtest.Kind) {
		db := private(t, kind)
		unlock := holdLock(t, db)

		ctx, cancel := context.WithCancel(context.Background())
		tries := make(chan struct{}, 1000)
		pool := db.Admin(t)
		pool.SetMaxOpenConns(1)
		if kind.Dialect == dialect.SQLite {
			run(t, pool, "PRAGMA busy_timeout = 10")
		}
		target := Target{
			Driver: &hooked{openDriver(kind.Dialect, pool), func(_ context.Context, query string) error {
				if isLock(query) {
					tries <- struct{}{}
				}
				return nil
			}},
			files: directory(t, three(kind.Dialect)),
		}
		result := make(chan error, 1)
		go func() {
			_, err := Apply(ctx, target)
			result <- err
		}()
		<-tries
		<-tries // the first one had no success
		cancel()
		require.ErrorIs(t, <-result, context.Canceled)

		go func() {
			_, err := Apply(context.Background(), target)
			result <- err
		}()
		<-tries
		<-tries
		select {
		case err := <-result:
			require.Fail(t, "it did not wait", "%v", err)
		default:
		}
		unlock()
		require.NoError(t, <-result)
		requireComplete(t, db, "", three(kind.Dialect))
	})
}

func isLock(query string) bool {
	return strings.Contains(query, "advisory") || strings.Contains(query, "GET_LOCK") ||
		strings.HasPrefix(query, "CREATE TABLE `atlas_schema_revisions`")
}

// holdLock takes the lock in the way of the atlas command; for SQLite, whose atlas command has a lock file of its own, it is the write lock.
func holdLock(t *testing.T, db *dbtest.DB) (unlock func()) {
	t.Helper()
	ctx := context.Background()
	pool := db.Admin(t)
	if db.Kind.Dialect == dialect.SQLite {
		conn, err := pool.Conn(ctx)
		require.NoError(t, err)
		_, err = conn.ExecContext(ctx, "BEGIN IMMEDIATE")
		require.NoError(t, err)
		return func() {
			_, err := conn.ExecContext(ctx, "ROLLBACK")
			require.NoError(t, err)
			require.NoError(t, conn.Close())
		}
	}
	release, err := atlasDriver(t, db.Kind.Dialect, pool).Lock(ctx, "atlas_migrate_execute", 10*time.Second)
	require.NoError(t, err)
	return func() { require.NoError(t, release()) }
}

func atlasDriver(t *testing.T, d string, pool *sql.DB) (drv migrate.Driver) {
	t.Helper()
	var err error
	switch d {
	case dialect.Postgres:
		drv, err = postgres.Open(pool)
	case dialect.MySQL:
		drv, err = mysql.Open(pool)
	default:
		drv, err = sqliteOpen(pool)
	}
	require.NoError(t, err)
	return drv
}

// A context that ends while Apply waits for a connection of the pool.
func TestCancelledWhileThePoolIsBusy(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, kind dbtest.Kind) {
		db := kind.New(t)
		pool := db.Admin(t)
		pool.SetMaxOpenConns(1)
		drv := openDriver(kind.Dialect, pool)
		taken, err := pin(context.Background(), drv)
		require.NoError(t, err)
		defer func() { require.NoError(t, taken.Rollback()) }()
		for _, call := range []func(context.Context) error{
			func(ctx context.Context) error { _, err := Apply(ctx, Target{Driver: drv}); return err },
			func(ctx context.Context) error { _, err := pin(ctx, drv); return err },
		} {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
			require.ErrorIs(t, call(ctx), context.DeadlineExceeded)
			cancel()
		}
	})
}

package entsession_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/internal/dbtest"
)

// patience is for what a test waits for.
const patience = time.Minute

func migrated(t testing.TB, db *dbtest.DB, change ...func(*entsession.Config)) *entsession.Store {
	t.Helper()
	s := storeOn(t, db, change...)
	require.NoError(t, s.Migrate(context.Background()))
	return s
}

func execAll(t *testing.T, db *sql.DB, statements ...string) {
	t.Helper()
	for _, s := range statements {
		_, err := db.Exec(s)
		require.NoError(t, err, s)
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for _, kind := range dbtest.Kinds() {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			db := kind.New(t)
			s := storeOn(t, db)
			require.ErrorContains(t, s.Health(ctx), "health: table sessions does not exist: create it with Store.Migrate")
			require.NotErrorIs(t, s.Health(ctx), entsession.ErrUnavailable)
			require.NoError(t, s.Migrate(ctx))
			require.NoError(t, s.Health(ctx))

			// The table changes under the store.
			admin := db.Admin(t)
			execAll(t, admin, `ALTER TABLE sessions RENAME COLUMN data TO payload`)
			require.ErrorContains(t, s.Health(ctx), "table sessions has no column data")
			execAll(t, admin, `ALTER TABLE sessions RENAME COLUMN payload TO data`)
			require.NoError(t, s.Health(ctx))
			execAll(t, admin, `ALTER TABLE sessions ADD COLUMN more int`)
			require.NoError(t, s.Health(ctx))

			var none context.Context
			require.ErrorContains(t, s.Health(none), "context is nil")
			ended, cancel := context.WithCancel(ctx)
			cancel()
			require.ErrorIs(t, s.Health(ended), context.Canceled)
			require.NoError(t, s.Close())
			require.ErrorIs(t, s.Health(ctx), entsession.ErrClosed)
		})
	}
}

// It changes nothing, fires nothing, and leaves no trace for a replica.
func TestHealthLeavesNothing(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	statements := map[string][]string{
		dbtest.Postgres: {
			`CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO fired VALUES (1); RETURN NULL; END $$`,
			`CREATE TRIGGER s AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON sessions FOR EACH STATEMENT EXECUTE PROCEDURE note()`,
			`CREATE TRIGGER r AFTER INSERT OR UPDATE OR DELETE ON sessions FOR EACH ROW EXECUTE PROCEDURE note()`,
		},
		dbtest.MySQL:  {`CREATE TRIGGER r BEFORE UPDATE ON sessions FOR EACH ROW INSERT INTO fired VALUES (1)`},
		dbtest.SQLite: {`CREATE TRIGGER r BEFORE UPDATE ON sessions BEGIN INSERT INTO fired VALUES (1); END`},
	}
	for _, kind := range dbtest.Kinds() {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			var db *dbtest.DB
			if kind.Dialect == dbtest.MySQL {
				db = kind.Start(t, dbtest.Setting("log-bin", "binlog"), dbtest.Setting("binlog-format", "STATEMENT"), dbtest.Setting("server-id", "1"),
					dbtest.Setting("log-bin-trust-function-creators", "1")).New(t)
			} else {
				db = kind.New(t)
			}
			s := migrated(t, db)
			sess, err := s.Create(ctx, []byte("x"))
			require.NoError(t, err)
			admin := db.Super(t)
			execAll(t, admin, `CREATE TABLE fired (n int)`)
			if kind.Dialect == dbtest.Postgres {
				execAll(t, admin, `GRANT ALL ON fired TO PUBLIC`)
			}
			execAll(t, admin, statements[kind.Dialect]...)
			before := written(t, admin, kind)
			for range 3 {
				require.NoError(t, s.Health(ctx))
			}
			require.Equal(t, before, written(t, admin, kind))
			var fired int
			require.NoError(t, admin.QueryRow(`SELECT count(*) FROM fired`).Scan(&fired))
			require.Zero(t, fired)
			require.NoError(t, s.Delete(ctx, sess.ID()))
			require.NoError(t, admin.QueryRow(`SELECT count(*) FROM fired`).Scan(&fired))
			require.NotZero(t, fired, "the triggers work")
			require.NotEqual(t, before, written(t, admin, kind), "and it shows when something is written")
		})
	}
}

// written is what a database says of how much was written to it.
func written(t *testing.T, admin *sql.DB, kind dbtest.Kind) string {
	t.Helper()
	switch kind.Dialect {
	case dbtest.MySQL:
		var file, do, ignore string
		var position int64
		require.NoError(t, admin.QueryRow(`SHOW MASTER STATUS`).Scan(&file, &position, &do, &ignore))
		return fmt.Sprint(file, position)
	case dbtest.Postgres: // the row's: other databases of the server write too
		var row string
		require.NoError(t, admin.QueryRow(`SELECT concat(ctid, ' ', xmin, ' ', xmax) FROM sessions`).Scan(&row))
		return row
	}
	var version, rows string
	require.NoError(t, admin.QueryRow(`PRAGMA data_version`).Scan(&version))
	require.NoError(t, admin.QueryRow(`SELECT group_concat(version) FROM sessions`).Scan(&rows))
	return version + " " + rows
}

// A server that is away, and one that hangs. It is well again with the first call after its return.
func TestHealthOfServer(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for _, kind := range []dbtest.Kind{dbtest.Kinds(dbtest.Postgres)[0], dbtest.Kinds(dbtest.MySQL)[0]} {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			server := kind.Start(t)
			db := server.New(t)
			s := migrated(t, db)
			require.NoError(t, s.Health(ctx))

			require.NoError(t, server.Kill())
			for range 3 {
				began := time.Now()
				err := s.Health(ctx)
				require.ErrorIs(t, err, entsession.ErrUnavailable)
				require.ErrorContains(t, err, "connection refused")
				require.Less(t, time.Since(began), 1800*time.Millisecond, "it does not wait for its timeout")
			}
			require.NoError(t, server.Restart())
			require.NoError(t, s.Health(ctx))

			require.NoError(t, server.Pause())
			began := time.Now()
			err := s.Health(ctx)
			require.ErrorIs(t, err, entsession.ErrUnavailable)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.ErrorContains(t, err, "no answer within 2s")
			require.InDelta(t, 2, time.Since(began).Seconds(), 0.9)
			short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
			defer cancel()
			began = time.Now()
			require.ErrorIs(t, s.Health(short), context.DeadlineExceeded)
			require.Less(t, time.Since(began), 500*time.Millisecond, "it obeys the context")
			require.NoError(t, server.Resume())
			require.Eventually(t, func() bool { return s.Health(ctx) == nil }, patience, time.Millisecond) // the one of the short context may be under way
			require.NoError(t, s.Health(ctx))
		})
	}
}

// After a failover the store may find itself on a replica.
func TestHealthReadOnly(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for _, kind := range dbtest.Kinds(dbtest.Postgres) {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			db := kind.New(t)
			s := migrated(t, db)
			admin := db.Super(t)
			cut := `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND usename = '` + db.User + `'`
			execAll(t, admin, `ALTER DATABASE `+db.Name+` SET default_transaction_read_only = on`, cut)
			err := s.Health(ctx)
			require.ErrorIs(t, err, entsession.ErrUnavailable)
			require.ErrorContains(t, err, "25006")
			execAll(t, admin, `SET default_transaction_read_only = off`, `ALTER DATABASE `+db.Name+` RESET default_transaction_read_only`)
			require.Eventually(t, func() bool { return s.Health(ctx) == nil }, patience, time.Millisecond, "connections that were read-only are replaced")
		})
	}
	for _, kind := range dbtest.Kinds(dbtest.MySQL) {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			db := kind.Start(t).New(t)
			s := migrated(t, db)
			admin := db.Super(t)
			execAll(t, admin, `SET GLOBAL read_only = 1`)
			err := s.Health(ctx)
			require.ErrorIs(t, err, entsession.ErrUnavailable)
			require.ErrorContains(t, err, "Error 1290")
			execAll(t, admin, `SET GLOBAL read_only = 0`)
			require.NoError(t, s.Health(ctx))
			require.NoError(t, admin.Close()) // it would outlive the server
		})
	}
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		db := dbtest.Kinds(dbtest.SQLite)[0].New(t)
		require.NoError(t, migrated(t, db).Close())
		s := storeOn(t, db, func(c *entsession.Config) { c.Params = map[string]string{"mode": "ro"} })
		require.ErrorIs(t, s.Health(ctx), entsession.ErrUnavailable)
	})
}

// All connections are in use. That is no failure of the database's.
func TestHealthOverloaded(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for _, kind := range dbtest.Kinds() {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			db := kind.New(t)
			require.NoError(t, migrated(t, db).Close())
			pool := db.Admin(t)
			pool.SetMaxOpenConns(1)
			s, err := entsession.New(ctx, entsql.OpenDB(kind.Dialect, pool), entsession.Config{DisableAutopurge: true})
			require.NoError(t, err)
			defer s.Close()
			conn, err := pool.Conn(ctx)
			require.NoError(t, err)
			began := time.Now()
			err = s.Health(ctx)
			require.ErrorIs(t, err, entsession.ErrOverloaded)
			require.NotErrorIs(t, err, entsession.ErrUnavailable)
			require.ErrorContains(t, err, "all 1 connections were in use for 500ms")
			require.Less(t, time.Since(began), 1500*time.Millisecond)

			answer := make(chan error, 1)
			go func() { answer <- s.Health(ctx) }()
			require.Eventually(t, func() bool { return pool.Stats().WaitCount == 2 }, patience, time.Millisecond)
			require.NoError(t, conn.Close())
			require.NoError(t, <-answer, "one became free")
		})
	}
}

// Many who ask at once cost one statement. Close does not wait for it.
func TestHealthIsShared(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for _, kind := range dbtest.Kinds(dbtest.Postgres)[:1] {
		db := kind.New(t)
		s := migrated(t, db)
		require.NoError(t, s.Health(ctx))
		admin := db.Admin(t)
		blocker, err := admin.BeginTx(ctx, nil)
		require.NoError(t, err)
		_, err = blocker.Exec(`LOCK TABLE sessions`)
		require.NoError(t, err)
		waiting := func() (n int) {
			require.NoError(t, admin.QueryRow(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&n))
			return n
		}
		ask := func() (*sync.WaitGroup, chan error) {
			var wg sync.WaitGroup
			answers := make(chan error, 50)
			for range 50 {
				wg.Go(func() { answers <- s.Health(ctx) })
			}
			require.Eventually(t, func() bool { return waiting() == 1 }, patience, time.Millisecond)
			return &wg, answers
		}
		wg, answers := ask()
		require.Never(t, func() bool { return waiting() != 1 }, 100*time.Millisecond, 10*time.Millisecond)
		require.NoError(t, blocker.Rollback())
		wg.Wait()
		for range 50 {
			require.NoError(t, <-answers)
		}

		blocker, err = admin.BeginTx(ctx, nil)
		require.NoError(t, err)
		defer blocker.Rollback()
		_, err = blocker.Exec(`LOCK TABLE sessions`)
		require.NoError(t, err)
		wg, answers = ask()
		began := time.Now()
		require.NoError(t, s.Close())
		require.Less(t, time.Since(began), 1500*time.Millisecond)
		wg.Wait()
		for range 50 {
			require.ErrorIs(t, <-answers, entsession.ErrClosed)
		}
	}
}

// A driver that is wrapped, of which the store knows no pool.
func TestHealthOfWrappedDriver(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for _, kind := range dbtest.Kinds() {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			db := kind.New(t)
			require.NoError(t, migrated(t, db).Close())
			drv := dialect.Debug(entsql.OpenDB(kind.Dialect, db.Admin(t)), func(...any) {})
			s, err := entsession.New(ctx, drv, entsession.Config{DisableAutopurge: true})
			require.NoError(t, err)
			defer s.Close()
			require.NoError(t, s.Health(ctx))
			execAll(t, db.Admin(t), `DROP TABLE sessions`)
			require.ErrorContains(t, s.Health(ctx), "does not exist")
		})
	}
}

// A readiness probe: who is not ready gets no requests.
func ExampleStore_Health() {
	store, done := exampleStore(context.Background())
	defer done()

	ready := func(w http.ResponseWriter, r *http.Request) {
		switch err := store.Health(r.Context()); {
		case err == nil, errors.Is(err, entsession.ErrOverloaded): // to send its requests to the others would overload them too
			fmt.Fprintln(w, "ready")
		default:
			http.Error(w, "not ready", http.StatusServiceUnavailable) // the error names hosts: it belongs in the log
		}
	}
	w := httptest.NewRecorder()
	ready(w, httptest.NewRequest("GET", "/readyz", nil))
	fmt.Println(w.Code)
	// Output: 200
}

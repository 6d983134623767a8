package guard_test

import (
	"database/sql"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/internal/dbtest"
	"github.com/entsession/entsession/internal/fault"
)

// asleep counts the connections of a database that are within pg_sleep or SLEEP.
var asleep = map[string]string{
	dbtest.Postgres: `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'`,
	dbtest.MySQL:    `SELECT count(*) FROM information_schema.processlist WHERE db = DATABASE() AND state = 'User sleep'`,
}

// during starts f, cuts the line for good when the server sleeps within it, and returns f's error.
func during(t *testing.T, dialect string, super *sql.DB, line *proxy, f func() error) error {
	t.Helper()
	failed := make(chan error, 1)
	go func() { failed <- f() }()
	require.Eventually(t, func() bool { return number(t, super, asleep[dialect]) == 1 }, patience, time.Millisecond)
	line.down()
	return <-failed
}

// A statement whose connection breaks while it runs may have taken effect: nobody but the store may run it again.
func TestBrokenStatementIsNotRepeated(t *testing.T) {
	forEach(t, func(t *testing.T, db *dbtest.DB) {
		super := db.Super(t)
		run(t, db.Admin(t), `CREATE TABLE t (n int)`)
		insert, insertArg := `INSERT INTO t SELECT 1 FROM (SELECT SLEEP(0.3)) x`, `INSERT INTO t SELECT ? FROM (SELECT SLEEP(0.3)) x`
		modes := []string{""}
		if db.Kind.Dialect == dbtest.Postgres {
			insert, insertArg = `INSERT INTO t SELECT 1 FROM pg_sleep(0.3)`, `INSERT INTO t SELECT $1::int FROM pg_sleep(0.3)`
			modes = []string{"cache_statement", "exec", "simple_protocol"}
		}
		done := 0
		for _, mode := range modes {
			for statement, args := range map[string][]any{insert: nil, insertArg: {1}} {
				line := newProxy(t, db.Host, db.Port)
				s := settings(db, never)
				s.Port = line.port
				if mode != "" {
					s.Params = map[string]string{"default_query_exec_mode": mode}
				}
				pool := open(t, db.Kind.Dialect, s)
				ctx := deadline(t)
				err := during(t, db.Kind.Dialect, super, line, func() error {
					_, err := pool.ExecContext(ctx, statement, args...)
					return err
				})
				require.Equal(t, fault.Lost, fault.Of(err), "%s %s: %v", mode, statement, err)
				// The server noticed nothing, and finishes.
				require.Eventually(t, func() bool { return number(t, super, asleep[db.Kind.Dialect]) == 0 }, patience, time.Millisecond)
				done++
				require.Eventually(t, func() bool { return number(t, super, `SELECT count(*) FROM t`) >= done }, patience, time.Millisecond)
				require.Equal(t, done, number(t, super, `SELECT count(*) FROM t`), "%s %s", mode, statement)
			}
		}
	}, dbtest.Postgres, dbtest.MySQL)
}

// So may a commit.
func TestBrokenCommitIsUnsure(t *testing.T) {
	forEach(t, func(t *testing.T, db *dbtest.DB) {
		super := db.Super(t)
		run(t, db.Admin(t),
			`CREATE TABLE t (n int)`,
			`CREATE FUNCTION pause() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.3); RETURN NULL; END $$`,
			`CREATE CONSTRAINT TRIGGER pause AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE PROCEDURE pause()`)
		line := newProxy(t, db.Host, db.Port)
		s := settings(db, never)
		s.Port = line.port
		tx, err := open(t, db.Kind.Dialect, s).BeginTx(deadline(t), nil)
		require.NoError(t, err)
		run(t, tx, write)
		err = during(t, db.Kind.Dialect, super, line, tx.Commit)
		require.Equal(t, fault.Lost, fault.Of(err), "%v (%T)", err, err)
		require.Eventually(t, func() bool { return number(t, super, `SELECT count(*) FROM t`) == 1 }, patience, time.Millisecond, "it was committed")
	}, dbtest.Postgres)
}

package guard_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/entsession/entsession/internal/backend"
	"github.com/entsession/entsession/internal/dbtest"
	_ "github.com/entsession/entsession/mysql"
	_ "github.com/entsession/entsession/postgres"
	_ "github.com/entsession/entsession/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(dbtest.Runner(m)) }

const (
	patience = time.Minute

	never  = time.Hour       // a threshold that no test reaches
	always = time.Nanosecond // one that is past at once
)

var connectionID = map[string]string{dbtest.Postgres: `SELECT pg_backend_pid()`, dbtest.MySQL: `SELECT CONNECTION_ID()`}

// kinds are one of each dialect: what is tested here does not differ between versions.
func kinds(dialects ...string) []dbtest.Kind {
	var chosen []dbtest.Kind
	for _, d := range dialects {
		chosen = append(chosen, dbtest.Kinds(d)[0])
	}
	return chosen
}

func forEach(t *testing.T, f func(t *testing.T, db *dbtest.DB), dialects ...string) {
	t.Parallel()
	if dialects == nil {
		dialects = []string{dbtest.SQLite, dbtest.Postgres, dbtest.MySQL}
	}
	for _, kind := range kinds(dialects...) {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			f(t, kind.New(t))
		})
	}
}

func settings(db *dbtest.DB, threshold time.Duration) backend.Settings {
	s := backend.Settings{
		Database: db.Name, Username: db.User, Password: db.Password, Hostname: db.Host, Port: db.Port,
		CheckThreshold: threshold,
	}
	switch db.Kind.Dialect {
	case dbtest.SQLite:
		s.Database = db.File
	case dbtest.MySQL:
		// The driver sees by itself, without asking the server, that a connection was closed: here the guard is to find out.
		s.Params = map[string]string{"checkConnLiveness": "false"}
	}
	return s
}

func connector(t *testing.T, dialect string, s backend.Settings) driver.Connector {
	t.Helper()
	name := map[string]string{dbtest.SQLite: "sqlite", dbtest.Postgres: "postgres", dbtest.MySQL: "mysql"}[dialect]
	b, err := backend.Lookup(name)
	require.NoError(t, err)
	c, err := b.Connector(s)
	require.NoError(t, err)
	return c
}

func open(t *testing.T, dialect string, s backend.Settings) *sql.DB {
	t.Helper()
	pool := sql.OpenDB(connector(t, dialect, s))
	t.Cleanup(func() { require.NoError(t, pool.Close()) })
	return pool
}

func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

type execer interface {
	ExecContext(context.Context, string, ...any) (sql.Result, error)
}

func run(t *testing.T, db execer, statements ...string) {
	t.Helper()
	for _, s := range statements {
		_, err := db.ExecContext(deadline(t), s)
		require.NoError(t, err, s)
	}
}

// connections takes n connections out of a pool at once.
func connections(t *testing.T, pool *sql.DB, n int) []*sql.Conn {
	t.Helper()
	pool.SetMaxIdleConns(n)
	conns := make([]*sql.Conn, n)
	for i := range conns {
		var err error
		conns[i], err = pool.Conn(deadline(t))
		require.NoError(t, err)
	}
	return conns
}

// giveBack returns them to the pool.
func giveBack(t *testing.T, conns []*sql.Conn) {
	t.Helper()
	for _, c := range conns {
		require.NoError(t, c.Close())
	}
}

type queryer interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
}

func number(t *testing.T, db queryer, query string) int {
	t.Helper()
	var n int
	require.NoError(t, db.QueryRowContext(deadline(t), query).Scan(&n), query)
	return n
}

// kill ends a connection on the server's side, and waits until it is gone.
func kill(t *testing.T, db *dbtest.DB, id int) {
	t.Helper()
	statement, left := `SELECT pg_terminate_backend(%d)`, `SELECT count(*) FROM pg_stat_activity WHERE pid = %d`
	if db.Kind.Dialect == dbtest.MySQL {
		statement, left = `KILL %d`, `SELECT count(*) FROM information_schema.processlist WHERE id = %d`
	}
	super := db.Super(t)
	run(t, super, fmt.Sprintf(statement, id))
	require.Eventually(t, func() bool { return number(t, super, fmt.Sprintf(left, id)) == 0 }, patience, time.Millisecond)
}

package fault_test

import (
	"context"
	"database/sql"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/entsession/entsession/internal/backend"
	"github.com/entsession/entsession/internal/dbtest"
	"github.com/entsession/entsession/internal/fault"
	_ "github.com/entsession/entsession/mysql"
	_ "github.com/entsession/entsession/postgres"
	_ "github.com/entsession/entsession/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(dbtest.Runner(m)) }

// patience bounds what a test waits for.
const patience = time.Minute

// settings are those of a test's database. Nothing is checked before a statement: these tests want to see it fail.
func settings(db *dbtest.DB) backend.Settings {
	s := backend.Settings{
		Database: db.Name, Username: db.User, Password: db.Password, Hostname: db.Host, Port: db.Port,
		CheckThreshold: time.Hour,
	}
	if db.Kind.Dialect == dbtest.SQLite {
		s.Database = db.File
	}
	return s
}

// open makes a pool as the store does.
func open(t *testing.T, dialect string, s backend.Settings) *sql.DB {
	t.Helper()
	name := map[string]string{dbtest.SQLite: "sqlite"}[dialect]
	if name == "" {
		name = dialect
	}
	b, err := backend.Lookup(name)
	require.NoError(t, err)
	connector, err := b.Connector(s)
	require.NoError(t, err)
	pool := sql.OpenDB(connector)
	t.Cleanup(func() { require.NoError(t, pool.Close()) })
	return pool
}

func connect(t *testing.T, pool *sql.DB) *sql.Conn {
	t.Helper()
	conn, err := pool.Conn(deadline(t))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() }) // many of them have lost their connection
	return conn
}

func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func run(t *testing.T, db interface {
	ExecContext(context.Context, string, ...any) (sql.Result, error)
}, statements ...string) {
	t.Helper()
	for _, s := range statements {
		_, err := db.ExecContext(deadline(t), s)
		require.NoError(t, err, s)
	}
}

// requireFault checks the kind, and the code too, so that a kind can't come from somewhere else.
func requireFault(t *testing.T, want fault.Kind, codes []string, err error) {
	t.Helper()
	require.Error(t, err)
	require.Equal(t, want, fault.Of(err), "%v (%T)", err, err)
	if len(codes) > 0 && !slices.Contains(codes, fault.Code(err)) {
		require.Failf(t, "another code", "%q is none of %q: %v", fault.Code(err), codes, err)
	}
}

func code(c string) []string { return []string{c} }

// time5ms ends after five milliseconds.
func time5ms(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

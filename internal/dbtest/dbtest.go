// Package dbtest gives tests real databases of their own.
//
// Each supported database is a [Kind]. Kind.New makes a fresh, empty database for one test, on a server that the test
// process starts on first use and shares between its tests; [Start] and Kind.Start give a test a server of its own,
// which it may shut down, kill and restart. Servers run from the installed binaries in a temporary folder, as an
// unprivileged user, on a free port of 127.0.0.1 and a Unix socket, with password authentication. They never outlive
// the test process.
//
// A package that uses servers ends them from its TestMain:
//
//	func TestMain(m *testing.M) { dbtest.Main(m) }
//
// or, with leak checks, goleak.VerifyTestMain(dbtest.Runner(m)).
//
// A server that is not installed skips the test, or fails it when the environment has ENTSESSION_REQUIRE_SERVERS=1;
// `make deps` installs all of them.
//
// Start reading at this file (what tests see), then server.go (one server's life), database.go (its databases),
// postgres.go and mariadb.go (what differs), find.go (where binaries are), shared.go (the servers of a test process).
// What is more than one server: pair.go (PostgreSQL and its standby), pgbouncer.go, galera.go.
package dbtest

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	_ "modernc.org/sqlite" // for Admin
)

// Dialects, named as ent names them.
const (
	SQLite   = "sqlite3"
	Postgres = "postgres"
	MySQL    = "mysql"
)

// Kind is one database that the project supports.
type Kind struct {
	Name    string // "sqlite", "postgres15", "postgres10", "postgres18", "mariadb": stable, for subtest names
	Dialect string // [SQLite], [Postgres] or [MySQL]

	engine engine  // nil for SQLite
	server *Server // of a Kind that Server.AsKind made: the one whose databases New makes
}

// Kinds returns every database that the project supports, SQLite first, whether it is installed or not; with
// dialects, only theirs.
func Kinds(dialects ...string) []Kind {
	kinds := allKinds()
	if len(dialects) == 0 {
		return slices.Clone(kinds)
	}
	var chosen []Kind
	for _, k := range kinds {
		if slices.Contains(dialects, k.Dialect) {
			chosen = append(chosen, k)
		}
	}
	return chosen
}

// DB is a database that belongs to one test.
type DB struct {
	Kind   Kind
	Server *Server // nil for SQLite; shared with other tests unless it was made by a Server of the test's own

	Host     string // 127.0.0.1; as Port, Socket, User, Password and Name empty for SQLite
	Port     int
	Socket   string // PostgreSQL: the socket's directory, which takes the host's place; MariaDB: the socket itself
	User     string // owns the database; not a superuser
	Password string
	Name     string

	File string // the database file; SQLite only
}

// New makes an empty database that is taken away when t ends, and from whoever is still connected to it. On a shared server a test must leave alone what belongs to
// the whole server (global variables, other databases' connections); it takes Kind.Start for that.
func (k Kind) New(t testing.TB) *DB {
	t.Helper()
	if k.engine == nil {
		return &DB{Kind: k, File: filepath.Join(t.TempDir(), "test.db")}
	}
	if k.server != nil {
		return k.server.New(t)
	}
	server, err := sharedServer(k)
	if err != nil {
		skipOrFail(t, err)
	}
	return server.New(t)
}

// DSN is the data source name of the database's owner, in the form of the driver that Admin uses: pgx,
// go-sql-driver/mysql or modernc.org/sqlite.
func (d *DB) DSN() string {
	if d.Kind.engine == nil {
		return sqliteDSN(d.File)
	}
	return d.Kind.engine.dsn(d.Server, login{d.User, d.Password}, d.Name)
}

// Admin opens a plain handle on the database as its owner, so that a test can look at rows and change them behind
// the code under test, past a pooler. It is closed when t ends.
func (d *DB) Admin(t testing.TB) *sql.DB {
	t.Helper()
	return d.open(t, d.Direct().DSN())
}

// Super is like Admin, but as the server's superuser: for other sessions' connections and global variables. For
// SQLite it is Admin.
func (d *DB) Super(t testing.TB) *sql.DB {
	t.Helper()
	if d.Kind.engine == nil {
		return d.Admin(t)
	}
	d = d.Direct()
	return d.open(t, d.Kind.engine.dsn(d.Server, d.Server.super, d.Name))
}

func (d *DB) open(t testing.TB, dsn string) *sql.DB {
	t.Helper()
	driver := "sqlite"
	if d.Kind.engine != nil {
		driver = d.Kind.engine.driver()
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatalf("opening %s: %v", d.Kind.Name, err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("closing the handle on %s: %v", d.Kind.Name, err)
		}
	})
	return db
}

// sqliteDSN waits for other writers of the file, for Admin works beside the code under test.
func sqliteDSN(file string) string {
	return fmt.Sprintf("file:%s?_pragma=busy_timeout(10000)", file)
}

package dbtest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// pgbouncerEngine runs the system's PgBouncer in front of a PostgreSQL server.
type pgbouncerEngine struct {
	postgresEngine        // of the server behind: its dialect and driver
	program        string // path of pgbouncer; empty when missing
	behind         *Server
	prepares       bool // it knows which server connection has which prepared statement, as those since 1.21 do
}

// StartPgBouncer starts a PgBouncer in front of s, which is PostgreSQL. It pools connections per transaction, as most people use it, and
// can be killed and restarted as any Server. Its databases are those of s, and so are its accounts.
//
// Options: Setting sets a parameter of the section [pgbouncer] of its configuration; Durable has no meaning. The caller stops it, before s.
func (s *Server) StartPgBouncer(opts ...Option) (*Server, error) {
	engine, ok := s.Kind.engine.(postgresEngine)
	if !ok {
		return nil, fmt.Errorf("starting PgBouncer in front of %s: it is for PostgreSQL", s.Kind.Name)
	}
	e := pgbouncerEngine{postgresEngine: engine, program: lookPath("pgbouncer", "/usr/sbin/pgbouncer"), behind: s}
	e.prepares = e.installed() == nil && pgbouncerPrepares(e.program)
	return Start(Kind{Name: "pgbouncer", Dialect: Postgres, engine: e}, opts...)
}

var pgbouncerVersion = regexp.MustCompile(`PgBouncer (\d+)\.(\d+)`)

// pgbouncerPrepares tells whether a PgBouncer has the setting max_prepared_statements.
func pgbouncerPrepares(program string) bool {
	out, err := exec.Command(program, "--version").Output()
	m := pgbouncerVersion.FindSubmatch(out)
	if err != nil || m == nil {
		return false
	}
	major, _ := strconv.Atoi(string(m[1]))
	minor, _ := strconv.Atoi(string(m[2]))
	return major > 1 || minor >= 21
}

// Prepares tells whether a PgBouncer lets clients use prepared statements. For others they are to be told not to: with pgx's
// default_query_exec_mode=exec.
func (s *Server) Prepares() bool {
	e, ok := s.Kind.engine.(pgbouncerEngine)
	prepares := !ok || e.prepares
	for _, set := range s.config.settings {
		prepares = prepares && set != [2]string{"max_prepared_statements", "0"}
	}
	return prepares
}

// PgBouncer is StartPgBouncer for a test, on a server of the test's own: it skips or fails when PgBouncer is missing, and stops it when t ends.
func (s *Server) PgBouncer(t testing.TB, opts ...Option) *Server {
	t.Helper()
	b, err := s.StartPgBouncer(opts...)
	if err != nil {
		skipOrFail(t, err)
	}
	t.Cleanup(func() {
		if t.Failed() { // 1.18 may end by itself when a statement is cancelled: github.com/pgbouncer/pgbouncer/issues/822, mended in 1.19
			t.Logf("the end of PgBouncer's log:\n%s", tail(b.Log(), 4000))
		}
		if err := b.Stop(); err != nil {
			t.Errorf("stopping PgBouncer: %v", err)
		}
	})
	return b
}

func (e pgbouncerEngine) installed() error {
	if e.program == "" {
		return fmt.Errorf("PgBouncer is %w", ErrMissing)
	}
	return nil
}

// pgbouncerSettings are those that differ from PgBouncer's defaults.
var pgbouncerSettings = [][2]string{
	{"pool_mode", "transaction"},
	{"auth_type", "scram-sha-256"},
	{"max_client_conn", "1000"},
	// How long it waits with the next connection to a server that refused one. Its default is 15 seconds, in which it is the pooler that is away, and
	// not the database any more.
	{"server_login_retry", "1"},
	// How long a statement waits for a server connection, such as while the server is down. Its default is two minutes.
	{"query_wait_timeout", "3"},
}

func (e pgbouncerEngine) initialize(s *Server) error {
	s.share(e.behind)
	var accounts strings.Builder
	for _, who := range []login{s.owner, s.super} {
		fmt.Fprintf(&accounts, "%q %q\n", who.user, who.password)
	}
	_, err := s.dir.secretFile("userlist.txt", accounts.String())
	return err
}

// command writes the configuration first: the port is not known before.
func (e pgbouncerEngine) command(s *Server) ([]string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "[databases]\n* = host=%s port=%d\n\n[pgbouncer]\n", e.behind.Host, e.behind.Port)
	settings := append([][2]string{
		{"listen_addr", s.Host},
		{"listen_port", strconv.Itoa(s.Port)},
		{"unix_socket_dir", s.Socket},
		{"auth_file", filepath.Join(s.dir.path, "userlist.txt")},
		{"admin_users", s.super.user},
	}, pgbouncerSettings...)
	if e.prepares {
		settings = append(settings, [2]string{"max_prepared_statements", "200"}) // the default since 1.24
	}
	settings = append(settings, s.config.settings...)
	for _, set := range settings {
		fmt.Fprintf(&b, "%s = %s\n", set[0], set[1])
	}
	file, err := s.dir.secretFile("pgbouncer.ini", b.String())
	return []string{e.program, file}, err
}

func (e pgbouncerEngine) prepare(context.Context, *Server) error { return nil }

func (e pgbouncerEngine) acquire(ctx context.Context, _ *Server, name string) error {
	return e.postgresEngine.acquire(ctx, e.behind, name)
}

func (e pgbouncerEngine) release(ctx context.Context, _ *Server, name string) error {
	return e.postgresEngine.release(ctx, e.behind, name)
}

// dsn has pgx prepare no statements where the next transaction may be on another server connection, that does not know them.
func (e pgbouncerEngine) dsn(s *Server, who login, database string) string {
	dsn := e.postgresEngine.dsn(s, who, database)
	if !s.Prepares() {
		dsn += "&default_query_exec_mode=exec"
	}
	return dsn
}

// Direct is the same database without the pooler in front of it, if there is one.
func (d *DB) Direct() *DB {
	if e, ok := d.Kind.engine.(pgbouncerEngine); ok {
		return d.On(e.behind)
	}
	return d
}

func (e pgbouncerEngine) shutdownSignal() os.Signal { return syscall.SIGTERM }
func (e pgbouncerEngine) deathSignal() os.Signal    { return syscall.SIGKILL }

func (e pgbouncerEngine) clear(*Server) {}

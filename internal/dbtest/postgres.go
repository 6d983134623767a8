package dbtest

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
)

// postgresEngine runs the binaries of one PostgreSQL.
type postgresEngine struct {
	major int
	bin   string // the binaries' folder; empty when missing
}

func (e postgresEngine) installed() error {
	if e.bin == "" {
		return fmt.Errorf("PostgreSQL %d is %w", e.major, ErrMissing)
	}
	return nil
}

func (e postgresEngine) data(s *Server) string { return filepath.Join(s.dir.path, "data") }

func (e postgresEngine) initialize(s *Server) error {
	secret, err := s.dir.secretFile("password", s.super.password)
	if err != nil {
		return err
	}
	args := []string{
		filepath.Join(e.bin, "initdb"), "--pgdata", e.data(s), "--username", s.super.user, "--pwfile", secret,
		"--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync",
	}
	if e.major >= 15 {
		// As in most installations text sorts by language, not by byte, so that what relies on the order of bytes
		// without asking for it fails.
		args = append(args, "--locale-provider", "icu", "--icu-locale", "en-US")
	}
	return s.dir.run(args)
}

func (e postgresEngine) command(s *Server) ([]string, error) {
	args := []string{
		filepath.Join(e.bin, "postgres"), "-D", e.data(s),
		"-c", "listen_addresses=" + s.Host,
		"-c", "port=" + strconv.Itoa(s.Port),
		"-c", "unix_socket_directories=" + s.Socket,
		"-c", "max_connections=500",
		"-c", "shared_buffers=64MB",
		"-c", "dynamic_shared_memory_type=mmap", // files in the data folder, which is removed whatever happens
		"-c", "log_line_prefix=%m [%p] %u@%d ",
	}
	if !s.config.durable {
		args = append(args, "-c", "fsync=off")
	}
	for _, set := range s.config.settings {
		args = append(args, "-c", set[0]+"="+set[1])
	}
	return args, nil
}

func (e postgresEngine) prepare(ctx context.Context, s *Server) error {
	return s.as(ctx, s.super, "",
		fmt.Sprintf(`CREATE ROLE %s LOGIN CREATEDB PASSWORD '%s'`, s.owner.user, s.owner.password))
}

func (e postgresEngine) socket(s *Server) string { return s.dir.path }

func (e postgresEngine) driver() string { return "pgx" }

func (e postgresEngine) dsn(s *Server, who login, database string) string {
	if database == "" {
		database = "postgres"
	}
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(who.user, who.password),
		Host:     net.JoinHostPort(s.Host, strconv.Itoa(s.Port)),
		Path:     database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

func (e postgresEngine) shutdownSignal() os.Signal { return syscall.SIGINT }  // "fast"
func (e postgresEngine) deathSignal() os.Signal    { return syscall.SIGQUIT } // "immediate"

func (e postgresEngine) clear(s *Server) {
	removeSharedMemory(filepath.Join(e.data(s), "postmaster.pid"))
}

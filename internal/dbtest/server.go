package dbtest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// patience bounds every wait for a server. It is generous: many servers may start at once on two busy cores.
const patience = time.Minute

// Server is a database server of the test process.
type Server struct {
	Kind   Kind
	Host   string // 127.0.0.1
	Port   int    // the same across restarts
	Socket string // as in [DB]

	owner     login // of every database that New makes; not a superuser
	super     login
	dir       *tempDir
	config    config
	databases *atomic.Int64 // numbers them; shared by all that know the same databases

	mu      sync.Mutex
	process *process // nil before the first start
	stopped bool     // by Stop: nothing is left to restart
	spare   []string // empty databases
}

// engine is what differs between database servers.
type engine interface {
	installed() error                                              // nil, or an [ErrMissing] that says what is missing
	initialize(s *Server) error                                    // creates the data folder
	command(s *Server) ([]string, error)                           // runs the server in the foreground
	prepare(ctx context.Context, s *Server) error                  // after the first start: the owner's role
	acquire(ctx context.Context, s *Server, database string) error // makes an empty one
	release(ctx context.Context, s *Server, database string) error // cuts off whoever is still connected to it
	socket(s *Server) string
	driver() string
	dsn(s *Server, who login, database string) string
	shutdownSignal() os.Signal // a clean shutdown that does not wait for clients to leave
	deathSignal() os.Signal    // a quick end that leaves nothing behind but files
	clear(s *Server)           // removes what a killed server left outside its folder
}

type login struct{ user, password string }

type config struct {
	durable  bool
	settings [][2]string
	// beside is the server whose databases and accounts this one has too, nil for one of its own.
	beside *Server
	// copyOf is the primary that this one begins as a standby of, or nil.
	copyOf *Server
}

// Option changes how a server of a test's own is started.
type Option func(*config)

// Durable makes the server flush each commit to the disk, as in production. Without it a server is faster and its
// data survives the server's death, but not the machine's.
func Durable() Option { return func(c *config) { c.durable = true } }

// Setting sets a configuration parameter of the server, by the name that its own manual uses.
func Setting(name, value string) Option {
	return func(c *config) { c.settings = append(c.settings, [2]string{name, value}) }
}

// Start starts a server of its own, that a test may shut down, kill and restart. The caller calls Stop at the end.
// The error is an [ErrMissing] when the server is not installed. SQLite has no server.
func Start(k Kind, opts ...Option) (*Server, error) {
	if k.engine == nil {
		return nil, fmt.Errorf("starting %s: it has no server", k.Name)
	}
	if err := k.engine.installed(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", k.Name, err)
	}
	s := &Server{
		Kind:      k,
		Host:      "127.0.0.1",
		owner:     login{"test", rand.Text()},
		super:     login{"super", rand.Text()},
		databases: &atomic.Int64{},
	}
	for _, opt := range opts {
		opt(&s.config)
	}
	if other := s.config.beside; other != nil {
		s.share(other)
	}
	if err := s.bootstrap(); err != nil {
		return nil, errors.Join(fmt.Errorf("starting %s: %w", k.Name, err), s.Stop())
	}
	return s, nil
}

// Start is the package's Start for a test: it skips or fails when the server is missing, and stops it when t ends.
func (k Kind) Start(t testing.TB, opts ...Option) *Server {
	t.Helper()
	s, err := Start(k, opts...)
	if err != nil {
		skipOrFail(t, err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Errorf("stopping %s: %v", k.Name, err)
		}
	})
	return s
}

func (s *Server) bootstrap() (err error) {
	if s.dir, err = newTempDir(); err != nil {
		return err
	}
	register(s)
	if err := s.initialize(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	// Another process may take a free port before the server does; then another one is tried.
	for try := 1; ; try++ {
		if s.Port, err = freePort(); err != nil {
			return err
		}
		s.Socket = s.Kind.engine.socket(s)
		if err = s.launch(ctx); err == nil && s.config.beside == nil {
			return s.Kind.engine.prepare(ctx, s)
		}
		if err == nil {
			return nil
		}
		if try == 3 || !strings.Contains(strings.ToLower(err.Error()), "address already in use") {
			return err
		}
	}
}

// share gives a server the databases and accounts of another.
func (s *Server) share(other *Server) {
	s.owner, s.super, s.databases = other.owner, other.super, other.databases
}

func (s *Server) initialize() error {
	if primary := s.config.copyOf; primary != nil {
		return s.Kind.engine.(postgresEngine).baseBackup(s, primary)
	}
	return s.Kind.engine.initialize(s)
}

// launch starts the process and waits until it answers. The caller holds the mutex.
func (s *Server) launch(ctx context.Context) error {
	args, err := s.Kind.engine.command(s)
	if err != nil {
		return err
	}
	p, err := startProcess(args, s.logFile(), s.Kind.engine.deathSignal())
	if err != nil {
		return err
	}
	s.process = p
	if err := s.answers(ctx, p); err != nil {
		p.kill()
		return fmt.Errorf("%w; the end of its log:\n%s", err, tail(s.Log(), 4000))
	}
	return nil
}

func (s *Server) answers(ctx context.Context, p *process) error {
	db, err := sql.Open(s.Kind.engine.driver(), s.Kind.engine.dsn(s, s.super, ""))
	if err != nil {
		return err
	}
	defer db.Close()
	for {
		err := db.PingContext(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("the server ended: %v", p.state())
		case <-ctx.Done():
			return fmt.Errorf("no answer: %w", err)
		case <-time.After(10 * time.Millisecond): // servers tell nobody that they are ready
		}
	}
}

// AsKind is the server's kind, with a difference: New makes databases on this server. What takes a Kind can so be run on a server that has
// others beside or behind it.
func (s *Server) AsKind() Kind {
	k := s.Kind
	k.server = s
	return k
}

// Addr is the TCP address, host:port.
func (s *Server) Addr() string { return net.JoinHostPort(s.Host, strconv.Itoa(s.Port)) }

// Pid is the main process, 0 when the server is not running.
func (s *Server) Pid() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.running() {
		return 0
	}
	return s.process.pid
}

// Log is all that the server has written to its log.
func (s *Server) Log() string {
	text, err := os.ReadFile(s.logFile())
	if err != nil {
		return ""
	}
	return string(text)
}

func (s *Server) logFile() string { return filepath.Join(s.dir.root, "server.log") }

// Shutdown ends the server as an administrator does: clients are disconnected, all is written. The data stays for
// Restart.
func (s *Server) Shutdown() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.running() {
		return nil
	}
	if err := s.process.signal(s.Kind.engine.shutdownSignal()); err != nil {
		return fmt.Errorf("shutting down %s: %w", s.Kind.Name, err)
	}
	if err := s.process.resume(); err != nil { // if it is paused, it could not act on the signal
		return fmt.Errorf("shutting down %s: %w", s.Kind.Name, err)
	}
	select {
	case <-s.process.done:
		return nil
	case <-time.After(patience):
		return fmt.Errorf("shutting down %s: still running after %v", s.Kind.Name, patience)
	}
}

// Kill ends the server and its child processes with SIGKILL and returns when they are gone. The data stays for
// Restart.
func (s *Server) Kill() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.running() {
		return nil
	}
	if err := s.process.kill(); err != nil {
		return fmt.Errorf("killing %s: %w", s.Kind.Name, err)
	}
	return nil
}

// Restart shuts the server down if it runs, starts it on the same data, port and socket, and returns when it answers.
func (s *Server) Restart() error {
	if err := s.Shutdown(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return fmt.Errorf("restarting %s: it was stopped for good", s.Kind.Name)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.launch(ctx); err != nil {
		return fmt.Errorf("restarting %s: %w", s.Kind.Name, err)
	}
	return nil
}

// Stop ends the server for good and removes its data. It may be called again.
func (s *Server) Stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return nil
	}
	s.stopped = true
	unregister(s)
	var errs []error
	if s.running() {
		errs = append(errs, s.process.end(s.Kind.engine.deathSignal()))
	}
	if s.dir != nil {
		s.Kind.engine.clear(s)
		errs = append(errs, s.dir.remove())
	}
	return errors.Join(errs...)
}

// running reports whether the process lives. The caller holds the mutex.
func (s *Server) running() bool {
	if s.process == nil {
		return false
	}
	select {
	case <-s.process.done:
		return false
	default:
		return true
	}
}

func tail(text string, n int) string { return text[max(0, len(text)-n):] }

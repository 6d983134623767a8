package dbtest

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"
)

// New makes an empty database that is taken away when t ends.
func (s *Server) New(t testing.TB) *DB {
	t.Helper()
	d, err := s.create(t.Name())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if s.Pid() == 0 { // the test has ended its own server; the data goes with the folder
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.Kind.engine.release(ctx, s, d.Name); err != nil {
			t.Errorf("dropping a database on %s: %v", s.Kind.Name, err)
		}
	})
	return d
}

// Create makes an empty database for a program that is no test. It lives as long as the server does.
func (s *Server) Create() (*DB, error) { return s.create("created") }

func (s *Server) create(user string) (*DB, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	name := databaseName(s.databases.Add(1), user)
	if err := s.Kind.engine.acquire(ctx, s, name); err != nil {
		return nil, fmt.Errorf("creating a database on %s: %w", s.Kind.Name, err)
	}
	return &DB{
		Kind: s.Kind, Server: s, Host: s.Host, Port: s.Port, Socket: s.Socket,
		User: s.owner.user, Password: s.owner.password, Name: name,
	}, nil
}

// as runs statements on a connection of its own: a kept one would not survive Kill, and would look like a leaked
// goroutine.
func (s *Server) as(ctx context.Context, who login, database string, stmts ...string) error {
	db, done, err := s.open(who, database)
	if err != nil {
		return err
	}
	defer done()
	for _, stmt := range stmts {
		if _, err := db.ExecContext(ctx, stmt); err != nil {
			return err
		}
	}
	return nil
}

// open opens a handle of one connection.
func (s *Server) open(who login, database string) (db *sql.DB, done func(), err error) {
	db, err = sql.Open(s.Kind.engine.driver(), s.Kind.engine.dsn(s, who, database))
	if err != nil {
		return nil, nil, err
	}
	db.SetMaxOpenConns(1)
	return db, func() { _ = db.Close() }, nil
}

func (s *Server) takeSpare() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.spare) == 0 {
		return ""
	}
	last := len(s.spare) - 1
	spare := s.spare[last]
	s.spare = s.spare[:last]
	return spare
}

func (s *Server) giveSpare(spare string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spare = append(s.spare, spare)
}

// databaseName is unique on the server and tells whose it is.
func databaseName(n int64, test string) string {
	clean := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '_'
	}, test)
	return fmt.Sprintf("t%d_%s", n, clean[:min(len(clean), 40)])
}

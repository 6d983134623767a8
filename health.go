package entsession

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"entgo.io/ent/dialect"

	"github.com/entsession/entsession/internal/stmt"
	"github.com/entsession/entsession/internal/wire"
)

const (
	// healthTimeout bounds a look at the database's health. Kubernetes, for one, gives a probe a second unless told otherwise.
	healthTimeout = 2 * time.Second
	// healthPatience is how long it waits for a connection when all are in use.
	healthPatience = 500 * time.Millisecond
)

// health is the look at the database that is under way.
type health struct {
	mu  sync.Mutex
	now *look // nil: none is
}

type look struct {
	done chan struct{}
	err  error
}

// Health tells whether the store can serve now: nil means that a connection of its pool works, that the table has the columns the store
// needs, and that the server takes writes, as a replica does not, nor a Galera node without its cluster. It is made for readiness probes:
// one statement that finds no row and changes nothing, in at most two seconds, or less if the context or Config.StatementTimeout says so.
// Calls that come together share it.
//
// ErrUnavailable means that the database can't be reached, does not answer or is read-only. ErrOverloaded means that for half a second
// every connection of the pool was in use: the store is at its limit, or what it was asking for hangs. That is for the caller to judge: to take an
// overloaded process out of service makes the others more so. Any other error, such as a table that is missing or a refused
// password, needs somebody's hand. It is what a call would get, so a connection that broke while nobody looked is replaced and is no error.
func (s *Store) Health(ctx context.Context) (err error) {
	ctx, c := s.observe(ctx, "health", &err)
	defer c.done(&err)
	switch {
	case ctx == nil:
		return errNilContext
	case ctx.Err() != nil:
		return s.fail("health", ctx.Err(), nil)
	}
	l := s.startLook()
	if l == nil {
		return ErrClosed
	}
	select {
	case <-l.done:
		return l.err
	case <-ctx.Done():
		return s.fail("health", fmt.Errorf("no answer yet: %w", ctx.Err()), nil)
	}
}

// startLook joins the look under way, or starts one; nil if the store is closed.
func (s *Store) startLook() *look {
	h := &s.health
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.now != nil {
		return h.now
	}
	s.purger.mu.Lock() // as in drawPurge: Close waits for tasks that began before it
	defer s.purger.mu.Unlock()
	if s.closed.Load() {
		return nil
	}
	l := &look{done: make(chan struct{})}
	h.now = l
	s.tasks.Go(func() {
		ctx, cancel := context.WithTimeout(s.life, healthTimeout)
		defer cancel()
		l.err = s.fail("health", s.healthy(ctx), nil)
		h.mu.Lock()
		h.now = nil
		h.mu.Unlock()
		close(l.done)
	})
	return l
}

func (s *Store) healthy(ctx context.Context) error {
	if p, ok := s.db.(*wire.Pool); ok {
		if err := s.spare(ctx, p.DB()); err != nil {
			return err
		}
	}
	err := s.retry(ctx, s.tryWriting)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil && s.life.Err() == nil {
		return &unavailable{fmt.Errorf("no answer within %v: %w", healthTimeout, err)}
	}
	return err
}

// spare waits a moment for a connection to be free. It takes none.
func (s *Store) spare(ctx context.Context, pool *sql.DB) error {
	stats := pool.Stats()
	if stats.MaxOpenConnections == 0 || stats.InUse < stats.MaxOpenConnections {
		return nil
	}
	if s.gate != nil {
		if err := s.gate.Away(); err != nil {
			return err // they are in use by those who try to connect
		}
	}
	bounded, cancel := context.WithTimeout(ctx, healthPatience)
	defer cancel()
	conn, err := pool.Conn(bounded)
	switch {
	case err == nil:
		return conn.Close()
	case bounded.Err() != nil && s.life.Err() == nil:
		return fmt.Errorf("%w: all %d connections were in use for %v", ErrOverloaded, stats.MaxOpenConnections, healthPatience)
	}
	return err
}

// tryWriting runs a statement that only a server that takes writes accepts, that names every column, and that finds no row. It fires no
// trigger and leaves nothing in a log. On PostgreSQL an UPDATE would fire triggers FOR EACH STATEMENT; a replica of MySQL's allows SELECT …
// FOR UPDATE.
func (s *Store) tryWriting(ctx context.Context, set *stmt.Set, _ attempt) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	if set.Table.Dialect == dialect.Postgres {
		return s.db.Query(ctx, set.Lock, set.Key(nil, new(string), &s.cfg.Application), func(wire.Row) error { return nil })
	}
	t := set.Table
	var named []string
	for _, c := range t.Columns {
		named = append(named, stmt.Quote(t.Dialect, c)+" IS NULL")
	}
	timeout := stmt.Quote(t.Dialect, stmt.Timeout)
	text := "UPDATE " + t.Ident() + " SET " + timeout + " = " + timeout + " WHERE 1 = 0 AND (" + strings.Join(named, " OR ") + ")"
	return s.write(ctx, func() error {
		_, err := exec(ctx, s.db, text, nil)
		return err
	})
}

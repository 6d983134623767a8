package conformance

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"sync"
	"sync/atomic"

	entsql "entgo.io/ent/dialect/sql"
	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/internal/backend"
	"github.com/entsession/entsession/internal/dbtest"
	"github.com/entsession/entsession/sqlite"
)

// gate holds one request before the server gets it, or its answer before the store does, until it is let go.
type gate struct {
	left   int  // requests until the one that is held
	answer bool // or rather its answer
	held   chan struct{}
	open   chan struct{}
	letGo  func()
}

func newGate(n int, answer bool) *gate {
	g := &gate{left: n, answer: answer, held: make(chan struct{}), open: make(chan struct{})}
	g.letGo = sync.OnceFunc(func() { close(g.open) })
	return g
}

// next counts a request and returns the gate if it is the one.
func (g *gate) next() *gate {
	if g == nil || g.left == 0 {
		return nil
	}
	if g.left--; g.left > 0 {
		return nil
	}
	return g
}

// wait is where it is held.
func (g *gate) wait() {
	if g != nil {
		close(g.held)
		<-g.open
	}
}

// gated is a store whose requests can be held: on a server by a proxy, on SQLite by its connections.
type gated struct {
	*entsession.Store
	hold func(*gate)
}

func (e *env) gated(change ...func(*entsession.Config)) gated {
	e.Helper()
	if e.db.Kind.Dialect != dbtest.SQLite {
		store, p := e.through(change...)
		return gated{store, func(g *gate) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.gate = g
		}}
	}
	cfg := e.config(change...)
	inner, err := sqlite.Connector(backend.Settings{Database: cfg.Database, Params: cfg.Params})
	require.NoError(e, err)
	c := &gatedConnector{Connector: inner}
	pool := sql.OpenDB(c)
	pool.SetMaxOpenConns(cfg.MaxOpenConns)
	e.Cleanup(func() { require.NoError(e, pool.Close()) })
	store, err := entsession.New(ctx, entsql.OpenDB(dbtest.SQLite, pool), cfg)
	require.NoError(e, err)
	if e.mode.Opened != nil {
		e.mode.Opened(store)
	}
	e.Cleanup(func() { require.NoError(e, store.Close()) })
	return gated{store, func(g *gate) { c.gate.Store(&once{gate: g}) }}
}

type gatedConnector struct {
	driver.Connector
	gate atomic.Pointer[once]
}

type once struct {
	mu   sync.Mutex
	gate *gate
}

// request runs a request, or holds it.
func (c *gatedConnector) request(f func()) {
	var held *gate
	if o := c.gate.Load(); o != nil {
		o.mu.Lock()
		held = o.gate.next()
		o.mu.Unlock()
	}
	if held != nil && !held.answer {
		held.wait()
	}
	f()
	if held != nil && held.answer {
		held.wait()
	}
}

// Connect implements driver.Connector.
func (c *gatedConnector) Connect(ctx context.Context) (driver.Conn, error) {
	inner, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &gatedConn{inner.(fullConn), c}, nil
}

// fullConn is what the store's connections can do.
type fullConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
	driver.NamedValueChecker
}

type gatedConn struct {
	fullConn
	connector *gatedConnector
}

// ExecContext implements driver.ExecerContext.
func (c *gatedConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (res driver.Result, err error) {
	c.connector.request(func() { res, err = c.fullConn.ExecContext(ctx, query, args) })
	return res, err
}

// QueryContext implements driver.QueryerContext.
func (c *gatedConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (rows driver.Rows, err error) {
	c.connector.request(func() { rows, err = c.fullConn.QueryContext(ctx, query, args) })
	return rows, err
}

// BeginTx implements driver.ConnBeginTx.
func (c *gatedConn) BeginTx(ctx context.Context, opts driver.TxOptions) (tx driver.Tx, err error) {
	c.connector.request(func() { tx, err = c.fullConn.BeginTx(ctx, opts) })
	if err != nil {
		return nil, err
	}
	return &gatedTx{tx, c.connector}, nil
}

type gatedTx struct {
	driver.Tx
	connector *gatedConnector
}

// Commit implements driver.Tx.
func (t *gatedTx) Commit() (err error) {
	t.connector.request(func() { err = t.Tx.Commit() })
	return err
}

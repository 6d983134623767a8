// Package guard keeps a pool of connections healthy. It wraps a database driver's connector, the same way for every
// database, and what it wraps:
//
//   - prepares each new connection with the OnConnect statements;
//   - checks a connection that idled for long before it is used again, and replaces it when it is dead;
//   - drops a connection once it has shown that it is of no use any more, such as one to a server that became read-only,
//     and then all those that are older, for they have most likely met the same fate;
//   - bounds how long connecting takes, and spares a database that is away the connections of all who want one (gate.go).
//
// This file makes connections, conn.go watches over them, stmt.go over their statements and transactions.
package guard

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/entsession/entsession/internal/fault"
	"github.com/entsession/entsession/internal/wire"
)

// Options are what differs between pools.
type Options struct {
	// Target names the database in errors, without secrets.
	Target string
	// OnConnect are statements run on each new connection, before anything else.
	OnConnect []string
	// CheckThreshold is how long a connection may idle in the pool without being checked before its next use. Zero
	// checks it every time.
	CheckThreshold time.Duration
	// EndByStatement ends transactions by statements, which obey a context, for a driver whose Commit and Rollback wait for the
	// answer however long it takes.
	EndByStatement bool
	// ConnectTimeout bounds a driver's Connect. Zero leaves that to the driver.
	ConnectTimeout time.Duration
}

// Conn is what a driver's connection must be able to do.
type Conn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
}

const (
	// onConnectTimeout bounds all OnConnect statements of a connection together: a pool opens connections under a
	// context without deadline.
	onConnectTimeout = 30 * time.Second
	// rollbackTimeout bounds a rollback by statement: its transaction's context has often ended.
	rollbackTimeout = time.Second
	// checkTimeout bounds the check of an idle connection. An answer takes one trip to the database and back.
	checkTimeout = 5 * time.Second
	// flushInterval is the least time between two flushes, so that a database that stays read-only doesn't make a pool
	// reconnect all the time.
	flushInterval = time.Second
)

// Connector makes guarded connections.
type Connector struct {
	inner   driver.Connector
	options Options
	start   time.Time
	flushed atomic.Int64 // nanoseconds from start to the last flush, 0 when there was none
	gate    gate

	keepsNone atomic.Bool // prepared statements don't survive on the way to this server
}

// New wraps a driver's connector, whose connections must be a Conn.
func New(inner driver.Connector, options Options) *Connector {
	return &Connector{inner: inner, options: options, start: time.Now()}
}

// Driver is the wrapped connector's.
func (c *Connector) Driver() driver.Driver { return c.inner.Driver() }

// Close closes the wrapped connector, if it can be. sql.DB calls it at its own Close, after the connections were closed.
func (c *Connector) Close() error {
	if closer, ok := c.inner.(io.Closer); ok {
		return closer.Close()
	}
	return nil
}

// Connect makes a connection and prepares it, unless the database is known to be away. Its error is a *fault.ConnectError.
func (c *Connector) Connect(ctx context.Context) (driver.Conn, error) {
	if err := c.gate.enter(ctx); err != nil {
		return nil, err
	}
	began := time.Now()
	made, err := c.connect(ctx)
	var failed *fault.ConnectError
	if err != nil {
		failed = c.failed(ctx, err)
	}
	c.gate.leave(ctx, began, failed)
	if failed != nil {
		return nil, failed
	}
	return made, nil
}

// Away is the error of the last connection that could not be made, while none can be; else nil.
func (c *Connector) Away() error { return c.gate.now() }

func (c *Connector) connect(ctx context.Context) (driver.Conn, error) {
	born := c.age() // as old as what the server may have been asked first
	opened, err := c.open(ctx)
	if err != nil {
		return nil, err
	}
	inner, ok := opened.(Conn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("the driver's %T can do too little", opened), opened.Close())
	}
	if err := c.prepare(ctx, inner); err != nil {
		_ = inner.Close() // the error that led here says more
		return nil, err
	}
	guarded := &conn{inner: inner, connector: c, born: born, unused: true, idleSince: time.Now()}
	guarded.checker, _ = opened.(driver.NamedValueChecker)
	guarded.validator, _ = opened.(driver.Validator)
	guarded.direct, _ = opened.(wire.Direct)
	if keeper, ok := opened.(Keeper); ok {
		guarded.kept.can = keeper.Keeps()
	}
	return guarded, nil
}

func (c *Connector) open(ctx context.Context) (driver.Conn, error) {
	timeout := c.options.ConnectTimeout
	if timeout <= 0 {
		return c.inner.Connect(ctx)
	}
	bounded, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	opened, err := c.inner.Connect(bounded)
	if err != nil && bounded.Err() != nil && ctx.Err() == nil {
		return nil, fmt.Errorf("no answer within %v: %w", timeout, err)
	}
	return opened, err
}

// prepare runs the OnConnect statements. What the database says of one may quote it, and it may hold a secret: the error
// has its position and the database's code instead.
func (c *Connector) prepare(ctx context.Context, inner Conn) error {
	if len(c.options.OnConnect) == 0 {
		return nil
	}
	bounded, cancel := context.WithTimeout(ctx, onConnectTimeout)
	defer cancel()
	for i, statement := range c.options.OnConnect {
		_, err := inner.ExecContext(bounded, statement, nil)
		if err == nil {
			continue
		}
		failed := c.failed(ctx, err)
		if code := fault.Code(err); code != "" {
			err = fmt.Errorf("the database refuses it with %s", code)
		}
		failed.Err = fmt.Errorf("on_connect statement %d of %d: %w", i+1, len(c.options.OnConnect), err)
		return failed
	}
	return nil
}

// failed tells the end of the caller's context from that of the time that a driver gives a connection. Both say
// "deadline exceeded".
func (c *Connector) failed(ctx context.Context, err error) *fault.ConnectError {
	failed, ok := err.(*fault.ConnectError)
	if !ok {
		failed = fault.Connecting(c.options.Target, err)
	}
	if over(ctx) {
		failed.Kind = fault.Other
	}
	return failed
}

// over tells whether a caller's context has ended. The network may notice a deadline a moment before the context does.
func over(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && !time.Now().Before(deadline)
}

// flush has all connections that exist now replaced before their next use.
func (c *Connector) flush() {
	now, last := int64(c.age()), c.flushed.Load()
	if last == 0 || now-last >= int64(flushInterval) {
		c.flushed.CompareAndSwap(last, now)
	}
}

func (c *Connector) age() time.Duration { return time.Since(c.start) }

package guard

import (
	"context"
	"database/sql/driver"
	"errors"
	"time"

	"github.com/entsession/entsession/internal/fault"
	"github.com/entsession/entsession/internal/wire"
)

// conn is a connection under guard. sql.DB uses it from one goroutine at a time. Rows are not wrapped: an error that
// matters here comes before the first row.
type conn struct {
	inner     Conn
	checker   driver.NamedValueChecker // nil when inner is none
	validator driver.Validator         // nil when inner is none
	direct    wire.Direct              // nil when inner is none
	connector *Connector
	born      time.Duration // the connector's age when this connection was begun

	idleSince time.Time
	unused    bool // since it was made
	bad       bool // not to be used again

	kept kept // see kept.go

	tx    driver.Tx       // the open transaction, see stmt.go
	txCtx context.Context // what it was begun with
}

// ExecContext implements driver.ExecerContext.
func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if err := c.use(ctx); err != nil {
		return nil, err
	}
	result, err := c.inner.ExecContext(ctx, query, args)
	return result, c.seen(err)
}

// QueryContext implements driver.QueryerContext.
func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if err := c.use(ctx); err != nil {
		return nil, err
	}
	rows, err := c.inner.QueryContext(ctx, query, args)
	return rows, c.seen(err)
}

// IsDirect implements wire.Direct.
func (c *conn) IsDirect() bool { return c.direct != nil }

// RunDirect implements wire.Direct, if the connection in here does.
func (c *conn) RunDirect(ctx context.Context, limit time.Duration, query string, args []any, each func(wire.Raw) error) (int64, error) {
	if c.direct == nil {
		return 0, driver.ErrSkip
	}
	if err := c.use(ctx); err != nil {
		return 0, err
	}
	n, err := c.direct.RunDirect(ctx, limit, query, args, each)
	return n, c.seen(err)
}

// Prepares implements wire.Direct.
func (c *conn) Prepares() bool { return c.direct != nil && c.direct.Prepares() }

// RunEach implements wire.Direct, if the connection in here does.
func (c *conn) RunEach(ctx context.Context, limit time.Duration, n int, statement wire.Statement, each func(int, wire.Raw) error, changed []int64) error {
	if c.direct == nil {
		return driver.ErrSkip
	}
	if err := c.use(ctx); err != nil {
		return err
	}
	return c.seen(c.direct.RunEach(ctx, limit, n, statement, each, changed))
}

// CheckNamedValue implements driver.NamedValueChecker: what a driver takes as an argument, it takes here.
func (c *conn) CheckNamedValue(v *driver.NamedValue) error {
	if c.checker == nil {
		return driver.ErrSkip // database/sql then does what it does without a checker
	}
	return c.checker.CheckNamedValue(v)
}

// Ping implements driver.Pinger.
func (c *conn) Ping(ctx context.Context) error { return c.seen(c.inner.Ping(ctx)) }

// Close implements driver.Conn.
func (c *conn) Close() error { return c.inner.Close() }

// IsValid implements driver.Validator. sql.DB calls it when it takes a connection back: from then on it idles.
func (c *conn) IsValid() bool {
	c.idleSince = time.Now()
	return !c.bad && (c.validator == nil || c.validator.IsValid())
}

// ResetSession implements driver.SessionResetter. sql.DB calls it before it uses a connection again, and takes
// another one when the answer is ErrBadConn.
func (c *conn) ResetSession(ctx context.Context) error {
	if c.bad || int64(c.born) < c.connector.flushed.Load() {
		return driver.ErrBadConn
	}
	if err := c.inner.ResetSession(ctx); err != nil {
		return err
	}
	return c.check(ctx)
}

// use is for the first use, for which sql.DB calls no ResetSession: a connection that was made for a caller who has
// meanwhile got another one idles too.
func (c *conn) use(ctx context.Context) error {
	if !c.unused {
		return nil
	}
	return c.check(ctx)
}

// check asks a connection that idled for long whether it is alive.
func (c *conn) check(ctx context.Context) error {
	c.unused = false
	if idle(c.idleSince, time.Now()) < c.connector.options.CheckThreshold {
		return nil
	}
	bounded, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	if err := c.inner.Ping(bounded); err != nil {
		c.bad = true
		if ctx.Err() == nil {
			c.connector.flush()
		}
		return driver.ErrBadConn
	}
	return nil
}

// idle is the time passed by the monotonic clock, which stands still while the machine sleeps or is frozen, or by the
// wall clock, which may be set back: whichever says more.
func idle(since, now time.Time) time.Duration {
	return max(now.Sub(since), now.Round(0).Sub(since.Round(0)))
}

// seen looks at what a statement's error says of the connection, and passes it on.
func (c *conn) seen(err error) error {
	if err == nil || err == driver.ErrSkip {
		return err
	}
	switch fault.Of(err) {
	case fault.NotSent:
		// ErrBadConn is what the driver says of a connection that it has closed itself, as it does when a context ends:
		// that is no news about the others.
		if errors.Is(err, driver.ErrBadConn) {
			return err
		}
	case fault.Lost, fault.ReadOnly, fault.StalePlan:
	default:
		return err
	}
	c.bad = true
	c.connector.flush()
	return err
}

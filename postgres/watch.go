package postgres

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// watch ends a statement with its context, or when it takes too long. pgx would do so for the context too, with more work for each
// statement, and a context with a timeout costs more than that.
type watch struct {
	timer *time.Timer   // nil before the first limit
	fired chan struct{} // the timer has done its work
	ended chan struct{} // and so has the end of a context
	over  atomic.Bool   // the connection is of no use any more
	end   func()
	stop  func() error

	// Of the statement under way.
	ctx     context.Context
	limit   time.Duration
	unwatch func() bool // nil: the context never ends
}

// watch watches over the next statement until the function that it returns is called. That gives the reason why the statement was ended, or nil.
func (c *conn) watch(ctx context.Context, limit time.Duration) (stop func() error) {
	w := &c.watching
	if w.stop == nil {
		w.fired, w.ended = make(chan struct{}, 1), make(chan struct{}, 1)
		w.end = func() { c.interrupt(w.ended) }
		w.stop = w.done
	}
	w.ctx, w.limit, w.unwatch = ctx, limit, nil
	if ctx.Done() != nil {
		w.unwatch = context.AfterFunc(ctx, w.end)
	}
	switch {
	case limit <= 0:
	case w.timer == nil:
		w.timer = time.AfterFunc(limit, func() { c.interrupt(w.fired) })
	default:
		w.timer.Reset(limit)
	}
	return w.stop
}

// interrupt has whoever waits for the server's answer fail at once. pgx then closes the connection, and asks the server to cancel the statement.
func (c *conn) interrupt(done chan<- struct{}) {
	c.watching.over.Store(true)
	_ = c.Conn.Conn().PgConn().Conn().SetDeadline(time.Unix(1, 0))
	done <- struct{}{}
}

// done leaves nothing behind that would hit the next statement.
func (w *watch) done() (reason error) {
	if w.limit > 0 && !w.timer.Stop() {
		<-w.fired
		reason = fmt.Errorf("no answer within %v: %w", w.limit, context.DeadlineExceeded)
	}
	if w.unwatch != nil && !w.unwatch() {
		<-w.ended
		reason = w.ctx.Err()
	}
	w.ctx, w.unwatch = nil, nil
	return reason
}

// IsValid implements driver.Validator.
func (c *conn) IsValid() bool { return !c.watching.over.Load() && !c.Conn.Conn().IsClosed() }

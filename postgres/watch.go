package postgres

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// watch ends a statement with its context, or when it takes too long. pgx would do so for the context; but to set a timer and to listen to a context, for a
// statement that is answered within the tenth of a millisecond, is about a tenth of what the client spends on it. So a connection in use is looked at now
// and then, and only a statement that was under way already at the look before is armed. One that has little time is armed at once.
type watch struct {
	over atomic.Bool // the connection is of no use any more

	mu     sync.Mutex
	looks  *time.Timer // nil before the first statement
	rests  bool        // the timer is not set
	begun  uint64      // statements
	looked uint64      // begun at the last look

	// Of the statement under way.
	under   bool
	ctx     context.Context
	limit   time.Duration
	reason  error       // why it was ended
	unwatch func() bool // nil: it is not armed, or its context never ends
	timer   *time.Timer // nil: it is not armed, or has no limit
}

const (
	// look is how often: a timer costs a process that has little to do more than a statement. The end of a context may be noticed two of them late.
	look = 20 * time.Millisecond
	// little is the time in which that would matter.
	little = 100 * time.Millisecond
)

// watch watches over the next statement until done is called.
func (c *conn) watch(ctx context.Context, limit time.Duration) {
	w := &c.watching
	w.mu.Lock()
	defer w.mu.Unlock()
	w.begun++
	w.under, w.ctx, w.limit, w.reason = true, ctx, limit, nil
	deadline, ok := ctx.Deadline()
	switch {
	case limit > 0 && limit < little, ok && time.Until(deadline) < little:
		c.arm(limit)
	case w.looks == nil:
		w.looks = time.AfterFunc(look, c.look)
	case w.rests:
		w.rests = false
		w.looks.Reset(look)
	}
}

// look arms the statement that was under way at the last look, too. It looks no more where none has begun since.
func (c *conn) look() {
	w := &c.watching
	w.mu.Lock()
	defer w.mu.Unlock()
	same := w.begun == w.looked
	w.looked = w.begun
	if w.rests = same; !same {
		w.looks.Reset(look)
	} else if w.under && w.unwatch == nil && w.timer == nil {
		c.arm(max(w.limit-look, 0))
	}
}

// arm has the statement ended in time. w.mu is locked.
func (c *conn) arm(limit time.Duration) {
	w, n, ctx := &c.watching, c.watching.begun, c.watching.ctx
	if ctx.Done() != nil {
		w.unwatch = context.AfterFunc(ctx, func() { c.interrupt(n, ctx.Err()) })
	}
	if total := w.limit; total > 0 {
		w.timer = time.AfterFunc(limit, func() {
			c.interrupt(n, fmt.Errorf("no answer within %v: %w", total, context.DeadlineExceeded))
		})
	}
}

// interrupt has whoever waits for the server's answer to that statement fail at once. pgx then closes the connection, and asks the server to cancel it.
func (c *conn) interrupt(n uint64, reason error) {
	w := &c.watching
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.under || w.begun != n || w.reason != nil {
		return
	}
	w.reason = reason
	w.over.Store(true)
	_ = c.Conn.Conn().PgConn().Conn().SetDeadline(time.Unix(1, 0))
}

// interrupted tells whether the statement under way was.
func (w *watch) interrupted() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.reason != nil
}

// done leaves nothing behind that would hit the next statement. It gives the reason why this one was ended, or nil.
func (w *watch) done() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.unwatch != nil {
		w.unwatch()
	}
	if w.timer != nil {
		w.timer.Stop()
	}
	w.under, w.ctx, w.unwatch, w.timer = false, nil, nil, nil
	return w.reason
}

// IsValid implements driver.Validator.
func (c *conn) IsValid() bool { return !c.watching.over.Load() && !c.Conn.Conn().IsClosed() }

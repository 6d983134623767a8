package entsession

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"github.com/entsession/entsession/internal/fault"
)

// Observer hears of what a store does, for metrics and traces: package otelsession, a module of its own, has one for OpenTelemetry. It is
// told neither ids nor payloads, nor the text of an error, which may quote a value. Its functions are called by many goroutines at once, in
// the midst of a call: they must be quick, must not call the store (but for Stats) and must not panic. Each may be nil.
type Observer struct {
	// Call is called when a call begins. The context that it returns goes on with the call, to the driver too, so it may hold a span. The
	// function that it returns, unless nil, is called once when the call ends.
	//
	// The operations are create, load, save, update, touch, rotate, delete, list, revoke, purge (those that run by themselves too), commit
	// (what an adapter writes), count (Count and Usage) and health.
	Call func(ctx context.Context, operation string) (context.Context, func(CallInfo))
	// Batch is called after a batch was sent, before those whose calls travelled in it have their answers.
	Batch func(BatchInfo)
	// Closed is called once, when the store was closed.
	Closed func()
}

// CallInfo is what became of a call.
type CallInfo struct {
	// Duration is how long the caller waited. Of a List, the time that the loop's body took is left out; of an Update, the time of its
	// function is not.
	Duration time.Duration
	// Outcome is one of the constants below.
	Outcome string
	// Code is the database's own code if it gave one: an SQLSTATE such as 40P01, MySQL's or SQLite's number. Else "".
	Code string
	// Retries counts statements that were sent again after a lost connection, a deadlock and the like.
	Retries int
	// Batched tells whether a statement of the call travelled in a batch.
	Batched bool
}

// The outcomes of calls. The first three are what happens to a store whose database is well.
const (
	OutcomeOK       = "ok"
	OutcomeNotFound = "not_found" // ErrNotFound
	OutcomeConflict = "conflict"  // ErrConflict

	OutcomeRefused     = "refused"     // what the call asked for can't be done: ErrTooLarge, ErrInvalidID, a *ColumnError
	OutcomeFunction    = "function"    // the function given to Update returned an error
	OutcomePanic       = "panic"       // a function of the application's did: Update's, Config.ColumnsFunc, the body of a loop over List
	OutcomeCanceled    = "canceled"    // the caller's context was
	OutcomeTimeout     = "timeout"     // the caller's context had a deadline, which passed
	OutcomeOverloaded  = "overloaded"  // ErrOverloaded
	OutcomeUnavailable = "unavailable" // ErrUnavailable
	OutcomeClosed      = "closed"      // ErrClosed
	OutcomeError       = "error"       // any other error
)

// BatchInfo is what became of a batch.
type BatchInfo struct {
	Lane     string        // as LaneStats.Name
	Size     int           // calls
	Duration time.Duration // of its statements, the wait for a connection included
	Failed   bool          // all its calls had an error, or went alone after all
}

// call is one that an observer hears of.
type call struct {
	end     func(CallInfo)
	start   time.Time
	not     time.Duration // what is not to be counted
	foreign error         // of the application's function
	retries atomic.Int32
	batched atomic.Bool
}

type callKey struct{}

// observe begins a call. Without an observer that is one look at a pointer, as is its end. What err points to is the error that the call
// returns, and tells of a panic until then.
func (s *Store) observe(ctx context.Context, operation string, err *error) (context.Context, *call) {
	if s.observer == nil || s.observer.Call == nil || ctx == nil {
		return ctx, nil
	}
	return s.observed(ctx, operation, err)
}

// errPanicked is never returned: it is what a call that does not return leaves behind.
var errPanicked = errors.New("a function of the application's panicked")

func (s *Store) observed(ctx context.Context, operation string, err *error) (context.Context, *call) {
	if outer(ctx) != nil { // a call of the store's own, within one
		return ctx, nil
	}
	c := &call{start: time.Now()}
	if ctx, c.end = s.observer.Call(ctx, operation); c.end == nil {
		return ctx, nil
	}
	*err = errPanicked
	return context.WithValue(ctx, callKey{}, c), c
}

// outer is the call that a context came with.
func outer(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	return c
}

// done ends a call. It is deferred, so it takes the error that is returned by its address.
func (c *call) done(err *error) {
	if c == nil {
		return
	}
	info := CallInfo{Duration: time.Since(c.start) - c.not, Outcome: outcome(*err), Retries: int(c.retries.Load()), Batched: c.batched.Load()}
	switch {
	case c.foreign != nil:
		info.Outcome = OutcomeFunction
	case *err != nil:
		info.Code = statusCode(*err)
	}
	c.end(info)
}

// failed notes the error of a function of the application's.
func (c *call) failed(err error) {
	if c != nil {
		c.foreign = err
	}
}

// without leaves out of a call's duration what the body of its loop takes.
func (c *call) without(yield func(*Session, error) bool) func(*Session, error) bool {
	if c == nil {
		return yield
	}
	return func(sess *Session, err error) bool {
		start := time.Now()
		defer func() { c.not += time.Since(start) }()
		return yield(sess, err)
	}
}

// clock is the time a batch was sent, if someone wants to know.
func (s *Store) clock() (now time.Time) {
	if s.observer != nil && s.observer.Batch != nil {
		now = time.Now()
	}
	return now
}

// sent tells of a batch.
func (s *Store) sent(lane string, size int, start time.Time, err error) {
	if !start.IsZero() {
		s.observer.Batch(BatchInfo{Lane: lane, Size: size, Duration: time.Since(start), Failed: err != nil})
	}
}

// retried counts what was sent again.
func (s *Store) retried(ctx context.Context) {
	s.retries.Add(1)
	if s.observer != nil {
		if c := outer(ctx); c != nil {
			c.retries.Add(1)
		}
	}
}

// batched notes that a call travelled in a batch.
func (s *Store) batched(ctx context.Context) {
	if s.observer != nil {
		if c := outer(ctx); c != nil {
			c.batched.Store(true)
		}
	}
}

func outcome(err error) string {
	var column *ColumnError
	switch {
	case err == nil:
		return OutcomeOK
	case err == errPanicked:
		return OutcomePanic
	case errors.Is(err, ErrNotFound):
		return OutcomeNotFound
	case errors.Is(err, ErrConflict):
		return OutcomeConflict
	case errors.Is(err, ErrTooLarge), errors.Is(err, ErrInvalidID), errors.As(err, &column):
		return OutcomeRefused
	case errors.Is(err, ErrOverloaded):
		return OutcomeOverloaded
	case errors.Is(err, ErrClosed):
		return OutcomeClosed
	case errors.Is(err, ErrUnavailable):
		return OutcomeUnavailable
	case errors.Is(err, context.Canceled):
		return OutcomeCanceled
	case errors.Is(err, context.DeadlineExceeded):
		return OutcomeTimeout
	}
	return OutcomeError
}

// statusCode is the code without what kind of code it is.
func statusCode(err error) string {
	code := fault.Code(err)
	return code[strings.LastIndexByte(code, ' ')+1:]
}

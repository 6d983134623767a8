// Package batch lets calls that have to wait for the database anyway travel together: group commit, for reads too.
//
// A Lane has a limited number of places in flight. A call that finds one free takes it and goes alone, at once: no timer ever delays
// it. The others wait, and when a place becomes free, all that wait go together. How many places there are is decided in
// limit.go, from what the lane measures; stats.go counts.
package batch

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"
)

// ErrFull means that too many calls wait already.
var ErrFull = errors.New("the queue is full")

// errWaited is for calls that no batch took in time.
var errWaited = fmt.Errorf("waited for a place in a batch for longer than the statement timeout: %w", context.DeadlineExceeded)

// ErrClosed means that the lane is closed.
var ErrClosed = errors.New("the lane is closed")

// Call is what one caller brings, and takes away.
type Call[T any] struct {
	Val  T
	Size int   // bytes it adds to a batch
	Err  error // what the batch answers

	answer answer
	placed bool // with answer alone: the caller has the batch's place
	slot   int  // which
	taken  bool // by a batch
	gone   bool // the caller left before that
	left   bool // or after it
	since  time.Time
	done   chan struct{} // of capacity 1: whoever answers never waits
}

type answer int8

const (
	answered answer = iota
	alone
	again
	closed
)

// Alone has the call sent as a statement of its own, by its caller: its place in a batch would have harmed others, or it must be told apart.
func (c *Call[T]) Alone() { c.answer = alone }

// Answered takes an Alone back.
func (c *Call[T]) Answered() { c.answer = answered }

// IsAlone tells whether Alone was called.
func (c *Call[T]) IsAlone() bool { return c.answer == alone }

// Again puts the call back to the head of the queue.
func (c *Call[T]) Again() { c.answer = again }

// Config of a lane.
type Config[T any] struct {
	// Run answers all calls of a batch. An error is the answer to all of them. A panic is too, and goes no further.
	Run func(ctx context.Context, calls []*Call[T]) error
	// Places is the most batches in flight, and Least how many there may be however near the database is, but for Fill; 0: it depends on the processors.
	Places, Least int
	// Few is how many calls each go alone near the database, and Fill how many more have to be there for each further batch in flight; 0: no matter.
	// See limit.
	Few, Fill int
	// Price is what a batch costs both ends together in processor time, its rows apart. See limit.
	Price time.Duration
	// Calls and Bytes bound a batch, Queue how many calls may wait.
	Calls, Bytes, Queue int
	// Timeout bounds the wait for a batch. 0: none. How long a batch takes is Run's to bound.
	Timeout time.Duration
	// Patience is how long a call that went alone may have its place while others wait. Beyond that it is taken to wait itself, for a row that someone else has
	// locked, and does not count. 0: for ever.
	Patience time.Duration
	// Context is what Run gets; Batches counts the goroutines, for those who wait for batches whose callers have all left.
	Context context.Context
	Batches *sync.WaitGroup
	// Always sends lone calls through Run too.
	Always bool
}

// Lane is a queue of calls of one kind.
type Lane[T any] struct {
	cfg   Config[T]
	calls sync.Pool

	mu      sync.Mutex
	queue   []*Call[T]
	gone    int // of those in queue
	busy    int // places taken
	slots   slots
	looks   *time.Timer // looks at them; nil: not yet
	looking bool        // it is set
	inside  int         // calls in the queue, in batches and alone
	crowd   crowd
	limit   limit
	closed  bool
	off     time.Time // until then every call goes alone
	wary    time.Time // until then a batch in flight keeps no other from leaving
	failed  int       // batches one after the other
	failing bool      // the last one did
	stats   Stats
}

// New makes a lane.
func New[T any](cfg Config[T]) *Lane[T] {
	l := &Lane[T]{cfg: cfg, slots: make(slots, max(cfg.Places, 1)), limit: newLimit(cfg.Least, cfg.Places, cfg.Few, cfg.Fill, cfg.Price)}
	l.calls.New = func() any { return &Call[T]{done: make(chan struct{}, 1)} }
	return l
}

// Get gives a call to fill in.
func (l *Lane[T]) Get() *Call[T] { return l.calls.Get().(*Call[T]) }

// Put takes a call back. Not one whose Do gave an error: a batch may still be at it.
func (l *Lane[T]) Put(c *Call[T]) {
	*c = Call[T]{done: c.done}
	l.calls.Put(c)
}

// Place is what Do gives.
type Place struct {
	Alone bool // the caller is to send its statement itself, and to call Leave then, whatever happens
	Sent  bool // together with an error: a batch has the call nevertheless, and goes on with it
	start time.Time
	slot  int
}

// Do waits until a batch has answered the call, or tells the caller to go alone. What the batch answered is in c. An error is the
// context's, ErrFull or ErrClosed.
func (l *Lane[T]) Do(ctx context.Context, c *Call[T]) (Place, error) {
	now := time.Now()
	l.mu.Lock()
	switch {
	case l.closed:
		l.mu.Unlock()
		return Place{}, ErrClosed
	case now.Before(l.off):
		l.stats.Alone++
		l.mu.Unlock()
		return Place{Alone: true}, nil
	case len(l.queue) == l.gone && !l.cfg.Always && l.free(now, 1):
		l.busy++
		l.inside++
		l.stats.Alone++
		slot := l.slots.take(now)
		l.mu.Unlock()
		return Place{Alone: true, start: now, slot: slot}, nil
	case len(l.queue)-l.gone >= l.cfg.Queue:
		l.stats.Refused++
		l.mu.Unlock()
		return Place{}, ErrFull
	}
	c.since = now
	l.queue = append(l.queue, c)
	l.inside++
	l.stats.waiting(len(l.queue) - l.gone)
	l.start(now)
	l.look()
	l.mu.Unlock()

	select {
	case <-c.done:
	case <-ctx.Done():
		select {
		case <-c.done: // the answer came in the same moment, and says more
		default:
			return Place{Sent: l.leave(c)}, ctx.Err()
		}
	}
	switch c.answer {
	case closed:
		return Place{}, ErrClosed
	case alone:
		if c.placed {
			return Place{Alone: true, start: time.Now(), slot: c.slot}, nil
		}
		return Place{Alone: true}, nil
	}
	return Place{}, nil
}

// leave takes a call out of the queue, and tells whether a batch had it already: that goes on without its caller.
func (l *Lane[T]) leave(c *Call[T]) (sent bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stats.Left++
	if c.placed { // it was about to go alone
		l.giveBack(c.slot)
		l.start(time.Now())
		return false
	}
	if c.taken {
		c.left = true
		return true
	}
	c.gone = true
	l.inside--
	if l.gone++; l.gone == len(l.queue) || l.gone > 64 && l.gone > len(l.queue)/2 {
		kept := l.queue[:0]
		for _, w := range l.queue {
			if !w.gone {
				kept = append(kept, w)
			}
		}
		clear(l.queue[len(kept):])
		l.queue, l.gone = kept, 0
	}
	return false
}

// Leave gives a place back. How long the statement took says something of the database only if it was answered.
func (l *Lane[T]) Leave(p Place, answered bool) {
	if p.start.IsZero() {
		return // it was told to go alone, and had none
	}
	now := time.Now()
	took := now.Sub(p.start)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.giveBack(p.slot)
	l.stats.Service += took
	if answered {
		l.limit.seen(took, now)
	}
	l.start(now)
}

// free tells whether there is a place, with that many calls more in the lane. The lane is locked.
func (l *Lane[T]) free(now time.Time, more int) bool {
	return l.busy < l.limit.of(l.crowd.seen(l.inside+more, now), now.Before(l.wary))
}

// start starts a batch for those that wait. The lane is locked.
func (l *Lane[T]) start(now time.Time) {
	if len(l.queue) > l.gone && l.free(now, 0) {
		l.busy++
		l.cfg.Batches.Go(l.work)
	}
}

// work runs one batch after the other, as long as calls wait.
func (l *Lane[T]) work() {
	var calls []*Call[T]
	for {
		calls = l.take(calls[:0])
		switch {
		case len(calls) == 0:
			return
		case calls[0].placed:
			calls[0].done <- struct{}{}
			return
		}
		start := time.Now()
		l.run(calls)
		l.answer(calls, time.Since(start))
		// Those just answered have their next call ready in a moment: let them come before the place is given to the first of them alone.
		runtime.Gosched()
	}
}

// take takes what waits, up to the limits of a batch. Nothing waits: the place is free.
func (l *Lane[T]) take(calls []*Call[T]) []*Call[T] {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.busy--
	if len(l.queue) == l.gone || !l.free(now, 0) {
		return nil
	}
	l.busy++
	n, bytes := 0, 0
	for _, c := range l.queue {
		if !c.gone {
			if l.cfg.Timeout > 0 && now.Sub(c.since) > l.cfg.Timeout {
				c.Err, c.taken = errWaited, true
				c.done <- struct{}{}
				l.inside--
				n++
				continue
			}
			if len(calls) == l.cfg.Calls || len(calls) > 0 && bytes+c.Size > l.cfg.Bytes {
				break
			}
			bytes += c.Size
			c.taken = true
			l.stats.Wait += now.Sub(c.since)
			calls = append(calls, c)
		} else {
			l.gone--
		}
		n++
	}
	rest := copy(l.queue, l.queue[n:])
	clear(l.queue[rest:])
	l.queue = l.queue[:rest]
	if len(calls) == 0 { // all of them had waited too long
		l.busy--
	}
	if len(calls) == 1 && !l.cfg.Always { // its caller does it, and has the place
		calls[0].answer, calls[0].placed, calls[0].slot = alone, true, l.slots.take(now)
		l.stats.Alone++
	}
	l.start(now) // what is left
	return calls
}

// run runs a batch. A panic is an error of all its calls, and may have come after the commit.
func (l *Lane[T]) run(calls []*Call[T]) {
	var err error
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("outcome unknown: panic: %v", p)
		}
		if err != nil {
			for _, c := range calls {
				c.Err, c.answer = err, answered
			}
		}
	}()
	err = l.cfg.Run(l.cfg.Context, calls)
}

// answer wakes the callers. From then on the calls are theirs.
func (l *Lane[T]) answer(calls []*Call[T], took time.Duration) {
	l.mu.Lock()
	l.stats.batch(len(calls), took)
	if !l.failing {
		l.failed = 0
	}
	l.failing = false
	if calls[0].answer == answered && calls[0].Err == nil {
		l.limit.seen(took, time.Now())
	}
	var back []*Call[T]
	for i, c := range calls {
		if c.answer == again && (l.closed || c.left) {
			c.answer = closed
		}
		if c.answer != again {
			l.inside--
			continue
		}
		c.answer, c.taken = answered, false
		back = append(back, c)
		calls[i] = nil
	}
	if len(back) > 0 {
		l.queue = append(back, l.queue...)
		l.look()
	}
	l.mu.Unlock()
	for _, c := range calls {
		if c != nil {
			c.done <- struct{}{}
		}
	}
}

// Close answers those that wait with ErrClosed. Batches under way go on, and answer theirs.
func (l *Lane[T]) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for _, c := range l.queue {
		if !c.gone {
			c.answer, c.taken = closed, true
			c.done <- struct{}{}
			l.inside--
		}
	}
	l.queue, l.gone = nil, 0
	if l.looks != nil {
		l.looks.Stop()
	}
}

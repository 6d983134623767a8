package guard

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/entsession/entsession/internal/fault"
)

// gate is what new connections go through. While the last one could not be made, it lets one try at a time, now and then; the others
// wait a moment for what becomes of that, and have its error. So a database that is away is asked a few times a second, however many want
// something of it, and one that swallows what it is sent (a host that is down, a firewall) costs its timeout once and not everyone. It is
// the half-open state of a circuit breaker (Nygard, Release It!, 2nd edition, chapter 5), for connecting only: a connection that works is
// never refused.
type gate struct {
	mu      sync.Mutex
	last    *fault.ConnectError // why the last connection could not be made; nil: the gate is open
	since   time.Time           // when that began
	began   time.Time           // when the last one that failed was begun
	next    time.Time           // when the next one may be tried
	pause   time.Duration       // between the two
	opened  time.Time           // when a connection was last made
	changed chan struct{}       // closed at the next news; nil: nobody waits
}

const (
	// An outage is noticed to be over within maxPause, and a short one sooner.
	minPause = 10 * time.Millisecond
	maxPause = 100 * time.Millisecond
	// patience is how long one waits for another's attempt. It is longer than maxPause, so that an error is as a rule not older than the call.
	patience = 250 * time.Millisecond
	// hung is how long an attempt may take until another one is made beside it: what it was sent may have been lost, in a network that is
	// well again.
	hung = time.Second
)

// enter returns nil when a connection is to be tried. The caller tells leave how it went.
func (g *gate) enter(ctx context.Context) error {
	now := time.Now()
	_, limited := ctx.Deadline()
	entered, until := now, now.Add(patience)
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.last != nil {
		due := g.next
		if !limited {
			// The pool itself, which makes one connection after the other for those who wait already: each would wait for all before it. It tries
			// only when no one else does.
			due = due.Add(hung)
		}
		switch {
		case ctx.Err() != nil:
			return g.ended(ctx)
		case !now.Before(due):
			g.next = now.Add(hung)
			return nil
		case !limited, g.began.After(entered), !now.Before(until):
			return g.away(now)
		}
		if g.changed == nil {
			g.changed = make(chan struct{})
		}
		changed, timer := g.changed, time.NewTimer(min(g.next.Sub(now), until.Sub(now)))
		g.mu.Unlock()
		select {
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
		g.mu.Lock()
		now = time.Now()
	}
	return nil
}

// away is the last error, for someone else.
func (g *gate) away(now time.Time) error {
	failed := *g.last
	failed.Away = now.Sub(g.since)
	return &failed
}

// now is the last error, or nil while the gate is open.
func (g *gate) now() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.last == nil {
		return nil
	}
	return g.away(time.Now())
}

// ended is for a caller whose context ended first.
func (g *gate) ended(ctx context.Context) error {
	return &fault.ConnectError{Target: g.last.Target, Err: fmt.Errorf("%w; the last attempt: %w", ctx.Err(), g.last.Err)}
}

// leave tells how an attempt went that was begun at a time.
func (g *gate) leave(ctx context.Context, began time.Time, failed *fault.ConnectError) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	switch {
	case failed == nil, !away(failed) && !over(ctx):
		// It was made; or the server answers, and won't have us.
		g.last, g.opened = nil, now
	case !away(failed):
		g.next = now // the caller's time was over before it could tell: let another one try
	case began.Before(g.opened):
		return // this is old news
	case g.last == nil:
		g.last, g.since, g.began, g.pause = failed, began, began, minPause
		g.next = now.Add(g.pause)
	case began.After(g.began):
		g.last, g.began, g.pause = failed, began, min(2*g.pause, maxPause)
		g.next = now.Add(g.pause)
	}
	if failed != nil && g.last != nil {
		failed.Away = now.Sub(g.since)
	}
	if g.changed != nil {
		close(g.changed)
		g.changed = nil
	}
}

func away(failed *fault.ConnectError) bool {
	return failed.Kind == fault.NotSent || failed.Kind == fault.ReadOnly
}

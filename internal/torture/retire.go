package torture

import (
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/entsession/entsession/internal/history"
)

// A session that has had its calls is retired: nobody is given it any more, and when the last call has ended it is looked at once
// more, under all of its ids, and its history is checked. That keeps histories short, and a campaign's memory as it is.

const (
	retirers = 2
	// checkLimit bounds the look for an order. A second is very long.
	checkLimit = 20 * time.Second
	// lookLimit is how long the last look may be refused.
	lookLimit = 2 * time.Minute
	// keptMost is how many sessions are left alone until the end.
	keptMost = 2000
)

// startRetiring starts to look at retired sessions. The function waits until all are done.
func (c *campaign) startRetiring() (wait func()) {
	var wg sync.WaitGroup
	for i := range retirers {
		wg.Go(func() {
			w := &worker{campaign: c, number: c.Workers + i, rng: newRand(c.Seed, uint64(500+i))}
			for f := c.world.nextReady(); f != nil; f = c.world.nextReady() {
				w.retire(f)
			}
		})
	}
	return wg.Wait
}

// nextReady takes a session that is to be looked at or, when it was, to be checked; nil when there are none left.
func (w *world) nextReady() *family {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.ready) == 0 && (!w.over || w.busy > 0) {
		w.more.Wait()
	}
	if len(w.ready) == 0 {
		return nil
	}
	f := w.ready[0]
	w.ready = w.ready[1:]
	f.open++ // no one else is to take it
	return f
}

// retire takes the last look at a session and then, when nobody revokes its subjects any more, checks its history.
func (w *worker) retire(f *family) {
	if !f.looked {
		w.look(f)
	}
	world := w.world
	world.mu.Lock()
	f.looked = true
	if f.open--; f.open > 0 {
		world.mu.Unlock()
		return // the last Revoke wakes it
	}
	world.forget(f)
	world.past[f.number] = f.fate
	world.mu.Unlock()
	w.check(f)
	world.mu.Lock()
	defer world.mu.Unlock()
	if world.busy--; world.busy == 0 {
		world.more.Broadcast()
	}
}

// look takes the last look at a session. Nobody else makes calls for it, but those who revoke a subject.
func (w *worker) look(f *family) {
	var live *held
	for _, id := range f.idents {
		ev := w.insist(f, id, history.Load)
		if ev == nil {
			return
		}
		if ev.Outcome == history.Done {
			live = &held{family: f, ident: id, row: ev.Row}
		}
	}
	f.fate = gone
	if f.hidden {
		f.fate = unseen
	}
	if live == nil {
		return
	}
	if _, _, count, ok := numbers(live.row.Data); ok && (count < f.applied || count > f.applied+f.maybe) {
		first, last := f.span()
		w.violation("counter", first, last, "session %d: counted %d; %d updates were acknowledged, %d more may have happened", f.number, count, f.applied, f.maybe)
	}
	if f.unsure == 0 && !strings.HasPrefix(live.row.Subject, "g") && w.rng.IntN(3) > 0 && w.world.keep(live) {
		f.fate = keeps
		return
	}
	if w.insist(f, live.ident, history.Delete) != nil {
		w.insist(f, live.ident, history.Load)
	}
}

// check looks for an order in its history.
func (w *worker) check(f *family) {
	for _, ev := range f.events {
		if ev.Op == history.List { // its id may not have been known to us then
			ev.ID = w.world.idOf(f, ev.Key)
		}
	}
	err := history.Check(f.events, checkLimit)
	if err != nil && !errors.Is(err, history.ErrUndecided) {
		if kept := w.certain(f.events); len(kept) < len(f.events) && history.Check(kept, checkLimit) == nil {
			w.tally.undone()
			err = nil
		}
	}
	switch {
	case errors.Is(err, history.ErrUndecided):
		w.tally.undecided()
	case err != nil:
		first, last := f.span()
		w.violation("history", first, last, "session %d: %v", f.number, err)
	}
	w.tally.checked(len(f.events))
}

// certain leaves out what was read shortly before a crash that may have undone it. What was written then and acknowledged stays.
func (w *worker) certain(events []*history.Event) (kept []*history.Event) {
	for _, ev := range events {
		read := ev.Op == history.Load || ev.Op == history.List || ev.Op == history.Touch || ev.Outcome == history.NotFound || ev.Outcome == history.Conflict
		if !read || !w.weather.undone(ev.End) {
			kept = append(kept, ev)
		}
	}
	return kept
}

// insist makes a call until it is answered, and records it; nil if it never was.
func (w *worker) insist(f *family, id *ident, op history.Op) *history.Event {
	for began := time.Now(); ; {
		ev := w.begin(op, f, id)
		call := w.call(w.seat(), request{Op: op, ID: id.id, Limit: longLimit}, ev)
		switch ev.Outcome {
		case history.Done, history.NotFound:
			if op == history.Load {
				w.loaded(call, f, id, ev)
			}
			if op == history.Delete {
				w.world.ended(id, ev.End, op)
			}
			w.world.record(f, ev)
			return ev
		case history.Unknown:
			if op == history.Delete {
				w.world.record(f, ev)
			}
		}
		if time.Since(began) > lookLimit {
			w.violation("recovery", ev.Begin, ev.End, "session %d: for %v, no %s was answered: %s", f.number, lookLimit, op, call.Text)
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (w *world) record(f *family, ev *history.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f.events = append(f.events, ev)
}

// span is the time of its history.
func (f *family) span() (first, last int64) {
	for i, ev := range f.events {
		if i == 0 || ev.Begin < first {
			first = ev.Begin
		}
		last = max(last, ev.End)
	}
	return first, last
}

// keep leaves a session alone until the end, if there are not too many yet.
func (w *world) keep(h *held) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.kept) >= keptMost {
		return false
	}
	w.kept = append(w.kept, &keepsake{h.family.number, h.ident, h.row})
	return true
}

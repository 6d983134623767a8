package torture

import (
	"math/rand/v2"
	"sync"

	"github.com/entsession/entsession/internal/history"
)

// world is what the campaign knows of the sessions. A session is what one Create made, under every id that it is given by Rotate; its number is its
// family's.
type world struct {
	mu      sync.Mutex
	tags    int // numbers sessions, writes and subjects
	active  []*family
	ready   []*family // retired, with no call under way any more
	more    *sync.Cond
	over    bool // nothing more will be retired
	groups  []string
	members map[string]*subject
	past    map[int]fate
	kept    []*keepsake
	busy    int // retired ones that are not forgotten yet
}

// family is a session.
type family struct {
	number  int
	place   int // in world.active
	idents  []*ident
	events  []*history.Event
	calls   int
	quota   int // of calls
	open    int // calls under way that may concern it
	unsure  int // calls without an answer that may have changed it
	missed  int // its newest id was looked for so often in vain
	retired bool
	looked  bool // and looked at for the last time
	hidden  bool // it may be live under an id that nobody was given
	lost    bool // its Create told of no id
	fate    fate // once it was looked at

	applied, maybe int // Updates that were acknowledged, and that may have happened
	subjects       []string
}

// ident is an id that a caller was given.
type ident struct {
	id, key string
	number  int
	ended   int64 // when a call that ends it had returned; 0: none has
	by      history.Op
}

// subject is who has one, or may get it by a call under way.
type subject struct {
	members map[*family]bool
	revokes []*revoking
}

// revoking is a Revoke under way, and whom it may concern.
type revoking struct {
	subject  string
	families map[*family]bool
}

// fate is what may be left of a session that was retired.
type fate uint8

const (
	gone   fate = iota + 1 // nothing
	unseen                 // it may be live under an id that nobody was given
	keeps                  // it is live, and looked at again in the end
)

// keepsake is a session that is left alone until the end, and must be there then as it was.
type keepsake struct {
	family int
	ident  *ident
	row    history.Row
}

const (
	groupCount = 12
	unsureMost = 5 // more would take the checker too long: any of them may come at any time
	missedMost = 3
	openMost   = 6 // calls for one session at a time, for the same reason
)

func newWorld(sessions int) *world {
	w := &world{active: make([]*family, sessions), members: map[string]*subject{}, past: map[int]fate{}, groups: make([]string, groupCount)}
	w.more = sync.NewCond(&w.mu)
	return w
}

// tag numbers whatever needs a number of its own.
func (w *world) tag() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tags++
	return w.tags
}

// pick finds a session and one of its ids, most often the newest, and enters it; nil if the place is free. Half of the calls go to a few of
// the places, so that calls for one session meet.
func (w *world) pick(rng *rand.Rand) (place int, f *family, id *ident) {
	n := len(w.active)
	if rng.IntN(2) == 0 {
		n = max(1, n/16)
	}
	place = rng.IntN(n)
	newest := rng.IntN(7) > 0
	at := rng.Uint64()
	w.mu.Lock()
	defer w.mu.Unlock()
	for range w.active {
		if f = w.active[place]; f == nil {
			return place, nil, nil
		}
		if f.open < openMost {
			break
		}
		place = (place + 1) % len(w.active)
	}
	id = f.idents[len(f.idents)-1]
	if !newest {
		id = f.idents[at%uint64(len(f.idents))]
	}
	w.enter(f)
	return place, f, id
}

// enter counts a call that may concern a session. The caller holds the mutex.
func (w *world) enter(f *family) { f.open++ }

// leave is the end of a call; ev is nil if it is of no interest.
func (w *world) leave(f *family, ev *history.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.left(f, ev)
}

func (w *world) left(f *family, ev *history.Event) {
	f.open--
	f.calls++
	if f.lost {
		return
	}
	if ev != nil {
		f.events = append(f.events, ev)
		if ev.Outcome == history.Unknown && !ev.Over {
			f.unsure++
			f.hidden = f.hidden || ev.Op == history.Rotate
		}
	}
	if !f.retired && len(f.idents) > 0 && (f.calls >= f.quota || f.unsure > unsureMost || f.missed >= missedMost) {
		w.retire(f)
	}
	w.wake(f)
}

// wake hands a retired session on when no call is under way that may concern it.
func (w *world) wake(f *family) {
	if f.retired && f.open == 0 {
		w.ready = append(w.ready, f)
		w.more.Signal()
	}
}

func (w *world) retire(f *family) {
	f.retired = true
	w.busy++
	if w.active[f.place] == f {
		w.active[f.place] = nil
	}
}

// retireAll retires what is left, once nobody makes calls any more.
func (w *world) retireAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range w.active {
		if f != nil {
			w.retire(f)
			w.wake(f)
		}
	}
	w.over = true
	w.more.Broadcast()
}

// conceive begins a session, which a Create is about to make.
func (w *world) conceive(place, quota int) *family {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tags++
	return &family{number: w.tags, place: place, quota: quota, open: 1}
}

// born takes in a session that Create made. It gets the place, or none if another was faster: then it is retired at once.
func (w *world) born(f *family, id *ident) {
	w.mu.Lock()
	defer w.mu.Unlock()
	id.number = 1
	f.idents = append(f.idents, id)
	if w.active[f.place] != nil {
		f.quota = 0
		return
	}
	w.active[f.place] = f
}

// stillborn forgets what Create did not make, or did not tell of.
func (w *world) stillborn(f *family, maybe bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if maybe {
		w.past[f.number] = unseen
	}
	f.lost = true
	w.forget(f)
}

// moved notes the id that Rotate gave.
func (w *world) moved(f *family, id *ident) {
	w.mu.Lock()
	defer w.mu.Unlock()
	id.number = len(f.idents) + 1
	f.idents = append(f.idents, id)
	f.missed = 0
}

// ended notes that a call has returned that ends an id.
func (w *world) ended(id *ident, at int64, by history.Op) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if id.ended == 0 || at < id.ended {
		id.ended, id.by = at, by
	}
}

// missing notes that an id was not found, which is the end of the session if it is the newest.
func (w *world) missing(f *family, id *ident) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if f.idents[len(f.idents)-1] == id {
		f.missed++
	}
}

// counts notes an Update.
func (w *world) counts(f *family, outcome history.Outcome) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch outcome {
	case history.Done:
		f.applied++
	case history.Unknown:
		f.maybe++
	}
}

// idOf is the number of an id by its key.
func (w *world) idOf(f *family, key string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range f.idents {
		if id.key == key {
			return id.number
		}
	}
	return history.Hidden
}

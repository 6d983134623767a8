package conformance

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/internal/history"
)

// ident is an id that a caller was given.
type ident struct {
	id, key string
	number  int
	family  int
}

// slot is where the workers find a session: its ids, the one it was given last at the end.
type slot struct {
	idents []*ident
	over   bool // someone has seen that it is not live any more
}

// world is what the workers of one history share.
type world struct {
	e      *env
	stores []*entsession.Store // two, as two processes would have
	round  int
	clock  atomic.Int64
	within context.Context // of the history

	mu      sync.Mutex
	tags    int
	slots   [historySlots]slot
	idents  map[string]*ident // by key
	cancels []func()          // of calls under way, by worker
}

// tag numbers sessions and writes.
func (w *world) tag() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tags++
	return w.tags
}

// payload begins with the history, the session and the write that it is of, and a number that Update counts up. What follows is there to be
// stored in different ways.
func (w *world) payload(rng *rand.Rand, family, n int) string {
	tail := []string{"", "", " é", " 🎉", " \x00\xff", string(make([]byte, 300))}[rng.IntN(6)]
	return fmt.Sprintf("h%d s%d w%d n%d;", w.round, family, w.tag(), n) + tail
}

// parse takes a payload's numbers out; false if it is another history's, whose calls may still be on their way.
func (w *world) parse(data string) (family, n int, ok bool) {
	var round, write int
	if _, err := fmt.Sscanf(data, "h%d s%d w%d n%d;", &round, &family, &write, &n); err != nil {
		w.e.Errorf("nobody wrote this payload: %q", data)
	}
	return family, n, round == w.round
}

// pick finds an id to work on, most often one that is live.
func (w *world) pick(rng *rand.Rand) (n int, id *ident, over bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n = rng.IntN(len(w.slots))
	s := &w.slots[n]
	if len(s.idents) == 0 {
		return n, nil, true
	}
	i := len(s.idents) - 1
	if rng.IntN(7) == 0 {
		i = rng.IntN(len(s.idents))
	}
	return n, s.idents[i], s.over
}

// born notes the id of a session that Create made; it takes a slot.
func (w *world) born(slot int, sess *entsession.Session, family int) *ident {
	w.mu.Lock()
	defer w.mu.Unlock()
	id := w.given(sess, family)
	s := &w.slots[slot]
	s.idents, s.over = append(s.idents[max(0, len(s.idents)-4):], id), false
	return id
}

// moved notes the id that Rotate gave a session, which may have lost its slot meanwhile.
func (w *world) moved(sess *entsession.Session, family int) *ident {
	w.mu.Lock()
	defer w.mu.Unlock()
	id := w.given(sess, family)
	for i := range w.slots {
		if s := &w.slots[i]; len(s.idents) > 0 && s.idents[len(s.idents)-1].family == family {
			s.idents, s.over = append(s.idents, id), false
		}
	}
	return id
}

func (w *world) given(sess *entsession.Session, family int) *ident {
	id := &ident{sess.ID(), sess.Key(), len(w.idents) + 1, family}
	w.idents[id.key] = id
	return id
}

// over notes that an id is not live any more.
func (w *world) over(id *ident) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.slots {
		s := &w.slots[i]
		if len(s.idents) > 0 && s.idents[len(s.idents)-1] == id {
			s.over = true
		}
	}
}

// current returns the newest ids of all slots.
func (w *world) current() (out []*ident) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.slots {
		if ids := w.slots[i].idents; len(ids) > 0 {
			out = append(out, ids[len(ids)-1])
		}
	}
	return out
}

func (w *world) all() (out []*ident) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range w.idents {
		out = append(out, id)
	}
	return out
}

// listed is the id that a key belongs to. List gives the key alone.
func (w *world) listed(key string, family int) *ident {
	w.mu.Lock()
	defer w.mu.Unlock()
	if id := w.idents[key]; id != nil {
		return id
	}
	return &ident{key: key, family: family}
}

// idOf is the number of an id by its key; hidden when nobody was given it.
func (w *world) idOf(key string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if id := w.idents[key]; id != nil {
		return id.number
	}
	return history.Hidden
}

// offer lets another worker end a call's context while it is under way: at a moment that no timer chooses.
func (w *world) offer(worker int, cancel context.CancelFunc) (withdraw func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cancels[worker] = cancel
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.cancels[worker] = nil
	}
}

// cut ends the context of a call under way, if there is one on offer.
func (w *world) cut(rng *rand.Rand) {
	w.mu.Lock()
	defer w.mu.Unlock()
	first := rng.IntN(len(w.cancels))
	for i := range w.cancels {
		if at := (first + i) % len(w.cancels); w.cancels[at] != nil {
			w.cancels[at]()
			w.cancels[at] = nil
			return
		}
	}
}

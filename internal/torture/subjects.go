package torture

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/entsession/entsession/internal/history"
)

// Some subjects are one session's, some a group's. A Revoke of one concerns every session that has the subject, or may get it by a call
// that begins before the Revoke's end. What a Revoke does that was never answered may come at any time, so its subject is then given to
// nobody any more.

// name draws a subject for a session, its own or a group's, and notes that the session may get it.
func (w *world) name(rng *rand.Rand, f *family) string {
	g := rng.IntN(2 * groupCount)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tags++
	name := fmt.Sprintf("u%d-%d", f.number, w.tags)
	if g < groupCount {
		if w.groups[g] == "" {
			w.groups[g] = fmt.Sprintf("g%d-%d", g, w.tags)
		}
		name = w.groups[g]
	}
	w.join(f, name)
	return name
}

func (w *world) join(f *family, name string) {
	s := w.members[name]
	if s == nil {
		s = &subject{members: map[*family]bool{}}
		w.members[name] = s
	}
	if s.members[f] {
		return
	}
	s.members[f] = true
	f.subjects = append(f.subjects, name)
	for _, r := range s.revokes {
		r.families[f] = true
		f.open++
	}
}

// drawn is a subject that a session may have had, most often the newest; "" if there is none.
func (w *world) drawn(rng *rand.Rand, f *family) string {
	at := rng.Uint64()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(f.subjects) == 0 {
		return ""
	}
	if at%4 > 0 {
		return f.subjects[len(f.subjects)-1]
	}
	return f.subjects[at%uint64(len(f.subjects))]
}

// revoke begins a Revoke.
func (w *world) revoke(name string) *revoking {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := &revoking{subject: name, families: map[*family]bool{}}
	s := w.members[name]
	if s == nil {
		return r
	}
	for f := range s.members {
		r.families[f] = true
		f.open++
	}
	s.revokes = append(s.revokes, r)
	return r
}

// revoked ends it. ev is what is recorded of each session.
func (w *world) revoked(r *revoking, ev history.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s := w.members[r.subject]; s != nil {
		s.revokes = slices.DeleteFunc(s.revokes, func(other *revoking) bool { return other == r })
	}
	if ev.Outcome == history.Unknown {
		if g := slices.Index(w.groups, r.subject); g >= 0 {
			w.groups[g] = ""
		}
	}
	for f := range r.families {
		if ev.Outcome == history.Failed {
			w.left(f, nil)
			continue
		}
		own := ev
		own.Family = f.number
		w.left(f, &own)
	}
}

// forget takes a session out of its subjects. The caller holds the mutex.
func (w *world) forget(f *family) {
	for _, name := range f.subjects {
		s := w.members[name]
		if s == nil {
			continue
		}
		delete(s.members, f)
		if len(s.members) == 0 && len(s.revokes) == 0 && !slices.Contains(w.groups, name) {
			delete(w.members, name)
		}
	}
}

package conformance

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	entsql "entgo.io/ent/dialect/sql"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/ent/session"
	"github.com/entsession/entsession/internal/fault"
	"github.com/entsession/entsession/internal/history"
)

// worker is one of the goroutines of a history.
type worker struct {
	*world
	number int
	rng    *rand.Rand
	quiet  bool // the others have finished: no context ends
	bag    []*held
	events []*history.Event
	counts counts
}

// held is a session object that a worker got earlier, and may save when others have saved theirs.
type held struct {
	sess *entsession.Session
	id   *ident
	row  history.Row // as it was got
}

// call draws a call and makes it.
func (w *worker) call() {
	if w.rng.IntN(6) == 0 {
		w.cut(w.rng)
	}
	slot, id, over := w.pick(w.rng)
	switch d := w.rng.IntN(100); {
	case id == nil, over && d < 60, d < 2:
		w.create(slot)
	case d < 25:
		w.load(id)
	case d < 40:
		if h := w.load(id); h != nil {
			w.save(h)
		}
	case d < 50:
		if len(w.bag) > 0 {
			w.save(w.bag[w.rng.IntN(len(w.bag))])
		}
	case d < 58:
		w.save(slices.Clone(w.bag)...)
	case d < 68:
		w.update(id)
	case d < 76:
		w.touch(id)
	case d < 82:
		w.rotate(id)
	case d < 86:
		w.delete(id)
	case d < 88:
		w.revoke(id, "")
	case d < 90:
		if len(w.bag) > 0 {
			h := w.bag[w.rng.IntN(len(w.bag))]
			w.revoke(h.id, h.row.Subject)
		}
	case d < 92:
		w.list(w.current())
	case d < 94:
		if len(w.bag) > 0 {
			w.listSubject(w.bag[w.rng.IntN(len(w.bag))])
		}
	case d < 97:
		w.stranger()
	default:
		w.age(id)
	}
}

func (w *worker) store() *entsession.Store { return w.stores[w.rng.IntN(len(w.stores))] }

func (w *worker) begin(o history.Op, id *ident) *history.Event {
	ev := &history.Event{Op: o, Worker: w.number, Begin: w.clock.Add(1)}
	if id != nil {
		ev.Key, ev.Family = id.key, id.family
	}
	return ev
}

// record keeps what the checker needs. Of what failed nothing may be seen, and nothing is learnt from a read that didn't end.
func (w *worker) record(ev *history.Event) bool {
	ended := ev.Outcome != history.Unknown || ev.Op != history.Load && ev.Op != history.Touch
	if ev.Outcome != history.Failed && ended {
		w.events = append(w.events, ev)
	}
	return ev.Outcome == history.Done
}

// keep checks that a session object is what it should be, and puts it into the bag.
func (w *worker) keep(o history.Op, sess *entsession.Session, id *ident, want *history.Row) *held {
	got := w.rowOf(sess)
	if family, _, _ := w.parse(got.Data); family != id.family {
		w.e.Errorf("%s: the payload of another session", o)
	}
	if want != nil && got != *want {
		w.e.Errorf("%s: gave [%s] for [%s]", o, got, *want)
	}
	h := &held{sess, id, got}
	if len(w.bag) < 6 {
		w.bag = append(w.bag, h)
	} else {
		w.bag[w.rng.IntN(len(w.bag))] = h
	}
	return h
}

// draw draws the columns of a write. To be told from all rows before, a row needs a new payload or a new value.
func (w *worker) draw(family int, fresh bool) (c history.Columns) {
	if c.HasSubject = w.rng.IntN(4) == 0; c.HasSubject && (!fresh || w.rng.IntN(5) > 0) {
		c.Subject = fmt.Sprintf("u%d-%d", family, w.tag())
	}
	if c.HasSeat = w.rng.IntN(4) == 0; c.HasSeat {
		c.Seat = 1000 + int64(w.tag())
	}
	return c
}

func (w *worker) create(slot int) {
	family := w.tag()
	data, cols, r, p := w.payload(w.rng, family, 0), w.draw(family, true), w.refuse(history.Create), w.patience()
	ev := w.begin(history.Create, nil)
	ev.Family, ev.Row = family, cols.On(history.Row{Data: data})
	sess, err := w.store().Create(p, w.data(data, r), w.with(cols, r)...)
	ev.End = w.clock.Add(1)
	if ev.Outcome = w.judge(history.Create, p, r, nil, err); ev.Outcome == history.Done {
		ev.To = sess.Key()
		w.keep(history.Create, sess, w.born(slot, sess, family), &ev.Row)
	}
	w.record(ev)
}

func (w *worker) load(id *ident) *held {
	p := w.patience()
	ev := w.begin(history.Load, id)
	sess, err := w.store().Load(p, id.id)
	ev.End = w.clock.Add(1)
	var h *held
	if ev.Outcome = w.judge(history.Load, p, nil, id, err); ev.Outcome == history.Done {
		h = w.keep(history.Load, sess, id, nil)
		ev.Row = h.row
	}
	w.record(ev)
	if ev.Outcome == history.NotFound {
		w.over(id)
	}
	return h
}

// saving is a Save that is about to begin, under way or over.
type saving struct {
	h   *held
	ev  *history.Event
	p   patience
	r   *refusal
	run func() error
	err error
}

// save saves session objects, all at once.
func (w *worker) save(all ...*held) {
	plain := len(all) > 1 && w.rng.IntN(2) == 0 // saves of the same columns can share a batch
	var wave []*saving
	for _, h := range all {
		wave = append(wave, w.saving(h, plain))
	}
	together(len(wave), func(i int) error {
		s := wave[i]
		s.ev.Begin = w.clock.Add(1)
		s.err = s.run()
		s.ev.End = w.clock.Add(1)
		return nil
	})
	for _, s := range wave {
		w.saved(s)
	}
}

func (w *worker) saving(h *held, plain bool) *saving {
	_, n, _ := w.parse(h.row.Data)
	data, fresh := h.row.Data, w.rng.IntN(6) > 0
	if fresh {
		data = w.payload(w.rng, h.id.family, n)
	}
	var cols history.Columns
	if !plain {
		cols = w.draw(h.id.family, fresh)
	}
	s := &saving{h: h, ev: w.begin(history.Save, h.id), p: w.patience(), r: w.refuse(history.Save)}
	s.ev.Guard, s.ev.Row = h.row, cols.On(h.row)
	s.ev.Row.Data = data
	h.sess.Data = w.data(data, s.r)
	store, list := w.store(), w.with(cols, s.r)
	s.run = func() error { return store.Save(s.p, h.sess, list...) }
	return s
}

func (w *worker) saved(s *saving) {
	h := s.h
	s.ev.Outcome = w.judge(history.Save, s.p, s.r, h.id, s.err)
	switch now := w.rowOf(h.sess); {
	case s.ev.Outcome == history.Done:
		if h.row = s.ev.Row; now != h.row {
			w.e.Errorf("save: left [%s] in the session, for [%s]", now, h.row)
		}
	case s.ev.Outcome == history.NotFound:
		w.over(h.id)
		if i := slices.Index(w.bag, h); i >= 0 && w.rng.IntN(3) > 0 {
			w.bag = slices.Delete(w.bag, i, i+1)
		}
		fallthrough
	case s.ev.Outcome != history.Unknown:
		if now.Data = h.row.Data; now != h.row {
			w.e.Errorf("save: did nothing, and left [%s] in the session, for [%s]", now, h.row)
		}
	}
	w.record(s.ev)
}

func (w *worker) update(id *ident) {
	cols, r, p := w.draw(id.family, true), w.refuse(history.Update), w.patience()
	ev, ran := w.begin(history.Update, id), false
	sess, err := w.store().Update(p, id.id, func(s *entsession.Session) error {
		ran, ev.Guard = true, w.rowOf(s)
		_, n, _ := w.parse(ev.Guard.Data)
		ev.Row = cols.On(ev.Guard)
		ev.Row.Data = w.payload(w.rng, id.family, n+1)
		s.Data = w.data(ev.Row.Data, r)
		s.Set(w.with(cols, r)...)
		if r != nil && r.abandon {
			return errMine
		}
		return nil
	})
	ev.End = w.clock.Add(1)
	if ev.Outcome = w.judge(history.Update, p, r, id, err); ev.Outcome == history.Done {
		w.keep(history.Update, sess, id, &ev.Row)
	}
	if ran || ev.Outcome == history.NotFound {
		w.record(ev)
	}
}

func (w *worker) touch(id *ident) {
	p := w.patience()
	ev := w.begin(history.Touch, id)
	err := w.store().Touch(p, id.id)
	ev.End = w.clock.Add(1)
	ev.Outcome = w.judge(history.Touch, p, nil, id, err)
	w.record(ev)
}

func (w *worker) rotate(id *ident) {
	r, p := w.refuse(history.Rotate), w.patience()
	ev := w.begin(history.Rotate, id)
	if w.rng.IntN(2) == 0 || r != nil {
		ev.Cols = w.draw(id.family, false)
	}
	sess, err := w.store().Rotate(p, id.id, w.with(ev.Cols, r)...)
	ev.End = w.clock.Add(1)
	if ev.Outcome = w.judge(history.Rotate, p, r, id, err); ev.Outcome == history.Done {
		ev.To = sess.Key()
		ev.Row = w.keep(history.Rotate, sess, w.moved(sess, id.family), nil).row
	} else if ev.Outcome == history.Unknown {
		w.over(id) // it may be: let there be a session that callers know
	}
	w.record(ev)
}

func (w *worker) delete(id *ident) {
	p := w.patience()
	ev := w.begin(history.Delete, id)
	err := w.store().Delete(p, id.id)
	ev.End = w.clock.Add(1)
	if ev.Outcome = w.judge(history.Delete, p, nil, id, err); ev.Outcome == history.Done {
		w.over(id)
	}
	w.record(ev)
}

// revoke ends a session by its key or, whatever its key has become, by its subject.
func (w *worker) revoke(id *ident, subject string) {
	p, where := w.patience(), []func(*entsql.Selector){session.ID(id.key)}
	ev := w.begin(history.Revoke, id)
	if subject != "" {
		ev.Key, ev.Subject, where[0] = "", subject, session.Subject(subject)
	}
	n, err := w.store().Revoke(p, where...)
	ev.End = w.clock.Add(1)
	ev.Outcome = w.judge(history.Revoke, p, nil, id, err)
	switch {
	case n < 0 || n > 1:
		w.e.Errorf("revoke: %d sessions were ended, of at most one", n)
	case ev.Outcome == history.Done && n == 0:
		ev.Outcome = history.NotFound
	case ev.Outcome == history.Done:
		w.over(id)
	}
	w.record(ev)
}

// stranger tries an id that nobody was given.
func (w *worker) stranger() {
	id := strangerID()
	store := w.store()
	_, loaded := store.Load(w.within, id)
	_, updated := store.Update(w.within, id, func(*entsession.Session) error { w.e.Error("update: called for an unknown id"); return nil })
	_, rotated := store.Rotate(w.within, id)
	for o, err := range map[history.Op]error{history.Load: loaded, history.Update: updated, history.Touch: store.Touch(w.within, id), history.Rotate: rotated} {
		if !errors.Is(err, entsession.ErrNotFound) {
			w.e.Errorf("%s of an unknown id: %v", o, err)
		}
	}
	if err := store.Delete(w.within, id); err != nil {
		w.e.Errorf("delete of an unknown id: %v", err)
	}
}

// age makes a renewal due, which moves a row's index entries while others write it.
func (w *worker) age(id *ident) {
	_, err := w.e.admin.ExecContext(w.within, w.e.sql("UPDATE sessions SET timeout = {now} + 600 WHERE id = $1 AND timeout > {now} + 600"), id.key)
	if err != nil && fault.Of(err) != fault.Contention {
		w.e.Errorf("making a renewal due: %v", err)
	}
}

// look looks at everything once the others have finished.
func (w *worker) look() {
	for _, id := range w.all() {
		w.load(id)
	}
	w.list(w.all())
}

func (w *worker) with(c history.Columns, r *refusal) []entsession.Column {
	if r == nil {
		return c.List()
	}
	return append(c.List(), r.cols...)
}

func (w *worker) data(data string, r *refusal) []byte {
	if r != nil && r.large {
		data += strings.Repeat("x", largest)
	}
	return []byte(data)
}

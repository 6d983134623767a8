package torture

import (
	"math/rand/v2"
	"time"

	"github.com/entsession/entsession/internal/history"
)

// worker makes calls, one after the other, through whichever client.
type worker struct {
	*campaign
	number int
	rng    *rand.Rand
	bag    []*held
}

// held is a session object that a client has in its hands, and may be saved when others have changed the session.
type held struct {
	seat   *seat
	life   int
	handle uint64
	family *family
	ident  *ident
	row    history.Row
}

const bagSize = 6

func (w *worker) run() {
	for {
		select {
		case <-w.stop:
			return
		default:
		}
		w.step()
		if w.Think > 0 {
			time.Sleep(rand.N(w.Think)) // of no seed: what it draws would shift with what others do
		}
	}
}

// step draws a call and makes it.
func (w *worker) step() {
	place, f, id := w.world.pick(w.rng)
	if f == nil {
		w.create(place)
		return
	}
	switch d := w.rng.IntN(100); {
	case d < 22:
		w.load(f, id)
	case d < 36:
		w.load(f, id)
		w.save()
	case d < 46:
		w.pass(f)
		w.save()
	case d < 66:
		w.update(f, id)
	case d < 77:
		w.touch(f, id)
	case d < 86:
		w.rotate(f, id)
	case d < 90:
		w.delete(f, id)
	case d < 93:
		w.pass(f)
		w.revoke(w.world.drawn(w.rng, f))
	case d < 97:
		w.pass(f)
		w.list(w.world.drawn(w.rng, f))
	default:
		w.pass(f)
		w.purge()
	}
}

// pass leaves a session without a call.
func (w *worker) pass(f *family) {
	w.world.mu.Lock()
	defer w.world.mu.Unlock()
	f.calls--
	w.world.left(f, nil)
}

func (w *worker) seat() *seat { return w.seats[w.rng.IntN(len(w.seats))] }

// patience draws when the call's context ends: mostly long after any answer, sometimes in the middle, and sometimes never.
func (w *worker) patience(r *request) {
	switch d := w.rng.IntN(20); {
	case d < 12:
		r.Limit = longLimit
	case d < 16:
	case d < 18:
		r.Limit = time.Duration(1 + w.rng.Int64N(int64(40*time.Millisecond)))
	case d < 19:
		r.Limit = between(w.rng, 100*time.Millisecond, 3*time.Second)
	default:
		r.Cancel = time.Duration(1 + w.rng.Int64N(int64(20*time.Millisecond)))
	}
}

// longLimit is a deadline that no call meets while nothing is wrong.
const longLimit = 10 * time.Second

// columns draws the columns of a write.
func (w *worker) columns(f *family) (c history.Columns) {
	if c.HasSubject = w.rng.IntN(4) == 0; c.HasSubject {
		c.Subject = w.world.name(w.rng, f)
	}
	if c.HasSeat = w.rng.IntN(4) == 0; c.HasSeat {
		c.Seat = int64(1000 + w.world.tag())
	}
	return c
}

// begin is the event of a call that is about to be made.
func (w *worker) begin(op history.Op, f *family, id *ident) *history.Event {
	ev := &history.Event{Op: op, Worker: w.number, Family: f.number}
	if id != nil {
		ev.Key, ev.ID = id.key, id.number
	}
	return ev
}

func (w *worker) create(place int) {
	quota := 15 + w.rng.IntN(60)
	f := w.world.conceive(place, quota)
	ev := w.begin(history.Create, f, nil)
	cols, write := w.columns(f), w.world.tag()
	r := request{Op: history.Create, Data: payload(f.number, write, 0), Cols: cols}
	w.patience(&r)
	ev.Row = cols.On(history.Row{Data: head(f.number, write, 0)})
	call := w.call(w.seat(), r, ev)
	if ev.Outcome != history.Done {
		w.world.stillborn(f, ev.Outcome == history.Unknown)
		return
	}
	id := &ident{id: call.Session.ID, key: call.Session.Key}
	ev.To, ev.ToID = id.key, 1
	w.keep(call, f, id, &ev.Row)
	w.world.born(f, id)
	w.world.leave(f, ev)
}

func (w *worker) load(f *family, id *ident) {
	r := request{Op: history.Load, ID: id.id}
	w.patience(&r)
	ev := w.begin(history.Load, f, id)
	call := w.call(w.seat(), r, ev)
	w.loaded(call, f, id, ev)
	w.world.leave(f, read(ev))
}

// loaded looks at what Load has found.
func (w *worker) loaded(call call, f *family, id *ident, ev *history.Event) {
	switch ev.Outcome {
	case history.Done:
		ev.Row = w.keep(call, f, id, nil)
		w.world.mu.Lock()
		ended, by := id.ended, id.by
		w.world.mu.Unlock()
		if ended > 0 && ev.Begin > ended {
			w.violation("revocation", ev.Begin, ev.End, "session %d: id %d was loaded at %s, and %s had returned at %s", f.number, id.number, stamp(ev.Begin), by, stamp(ended))
		}
	case history.NotFound:
		w.world.missing(f, id)
	}
}

// read is the event of a call that changes nothing: without an answer it is of no interest.
func read(ev *history.Event) *history.Event {
	if ev.Outcome == history.Unknown || ev.Outcome == history.Failed {
		return nil
	}
	return ev
}

// written is that of one that does.
func written(ev *history.Event) *history.Event {
	if ev.Outcome == history.Failed {
		return nil
	}
	return ev
}

// twofold is what a write says that found no session. While connections break, an attempt before the last one may have been made, and its answer lost:
// then the session ended after that, or got another id. So it is a write that may have happened until then, and a look that found nothing. What
// Rotate made then must be gone too, as nobody else knows its id.
func (w *worker) twofold(f *family, ev *history.Event) *history.Event {
	if ev.Outcome != history.NotFound || w.weather.calm(ev.Begin, ev.End, 0) {
		return written(ev)
	}
	look := &history.Event{Op: history.Load, Outcome: history.NotFound, Worker: w.number, Family: f.number, Key: ev.Key, ID: ev.ID, Begin: ev.Begin, End: ev.End}
	w.world.record(f, look)
	if ev.Op == history.Rotate {
		made := *look
		made.Key, made.ID, made.Begin, made.End = "", ev.ToID, ev.End+1, ev.End+2
		w.world.record(f, &made)
	}
	ev.Outcome, ev.Over = history.Unknown, true
	if ev.Op == history.Update {
		w.world.counts(f, history.Unknown)
	}
	return ev
}

// keep checks a session object, and puts it into the bag.
func (w *worker) keep(call call, f *family, id *ident, want *history.Row) history.Row {
	row := w.rowOf(call, call.Session, f.number)
	if want != nil && row != *want {
		w.violation("answer", call.begin, call.end, "session %d: %s gave [%s] for [%s]", f.number, call.op, row, *want)
	}
	if call.Session.Key != id.key {
		w.violation("answer", call.begin, call.end, "session %d: %s gave another id than id %d", f.number, call.op, id.number)
	}
	h := &held{call.seat, call.life, call.Session.Handle, f, id, row}
	if len(w.bag) < bagSize {
		w.bag = append(w.bag, h)
	} else {
		w.bag[w.rng.IntN(bagSize)] = h
	}
	return row
}

func (w *worker) save() {
	if len(w.bag) == 0 {
		return
	}
	at := w.rng.IntN(len(w.bag))
	h := w.bag[at]
	w.bag = append(w.bag[:at], w.bag[at+1:]...)
	f := h.family
	w.world.mu.Lock()
	if f.retired {
		w.world.mu.Unlock()
		return
	}
	w.world.enter(f)
	w.world.mu.Unlock()
	cols, write := w.columns(f), w.world.tag()
	_, _, count, _ := numbers(h.row.Data)
	ev := w.begin(history.Save, f, h.ident)
	ev.Guard, ev.Row = h.row, cols.On(h.row)
	ev.Row.Data = head(f.number, write, count)
	r := request{Op: history.Save, Handle: h.handle, Life: h.life, Data: payload(f.number, write, count), Cols: cols}
	w.patience(&r)
	if call := w.call(h.seat, r, ev); ev.Outcome == history.Done {
		w.keep(call, f, h.ident, &ev.Row)
	}
	w.world.leave(f, w.twofold(f, ev))
}

func (w *worker) update(f *family, id *ident) {
	cols, write := w.columns(f), w.world.tag()
	ev := w.begin(history.Update, f, id)
	ev.Apply = func(row history.Row) history.Row {
		if number, _, count, ok := numbers(row.Data); ok {
			row.Data = head(number, write, count+1)
		}
		return cols.On(row)
	}
	r := request{Op: history.Update, ID: id.id, Write: write, Cols: cols}
	if w.rng.IntN(20) == 0 {
		r.Slow = time.Duration(w.rng.IntN(100)) * time.Millisecond
	}
	w.patience(&r)
	call := w.call(w.seat(), r, ev)
	if ev.Outcome == history.Done {
		ev.Row = w.keep(call, f, id, nil)
	} else if ev.Outcome == history.NotFound {
		w.world.missing(f, id)
	}
	w.world.counts(f, ev.Outcome)
	w.world.leave(f, w.twofold(f, ev))
}

func (w *worker) touch(f *family, id *ident) {
	r := request{Op: history.Touch, ID: id.id}
	w.patience(&r)
	ev := w.begin(history.Touch, f, id)
	w.call(w.seat(), r, ev)
	if ev.Outcome == history.NotFound {
		w.world.missing(f, id)
	}
	w.world.leave(f, read(ev))
}

func (w *worker) rotate(f *family, id *ident) {
	r := request{Op: history.Rotate, ID: id.id}
	if w.rng.IntN(2) == 0 {
		r.Cols = w.columns(f)
	}
	w.patience(&r)
	ev := w.begin(history.Rotate, f, id)
	ev.Cols, ev.ToID = r.Cols, history.Hidden-w.world.tag()
	call := w.call(w.seat(), r, ev)
	switch ev.Outcome {
	case history.Done:
		to := &ident{id: call.Session.ID, key: call.Session.Key}
		w.world.moved(f, to)
		ev.To, ev.ToID = to.key, to.number
		ev.Row = w.keep(call, f, to, nil)
		w.world.ended(id, ev.End, history.Rotate)
	case history.NotFound:
		w.world.missing(f, id)
	}
	w.world.leave(f, w.twofold(f, ev))
}

func (w *worker) delete(f *family, id *ident) {
	r := request{Op: history.Delete, ID: id.id}
	w.patience(&r)
	ev := w.begin(history.Delete, f, id)
	w.call(w.seat(), r, ev)
	if ev.Outcome == history.Done {
		w.world.ended(id, ev.End, history.Delete)
	}
	w.world.leave(f, written(ev))
}

func (w *worker) revoke(name string) {
	if name == "" {
		return
	}
	r := request{Op: history.Revoke, Subject: name}
	w.patience(&r)
	// How many there were says nothing of each session, so it is recorded as a Delete.
	ev := &history.Event{Op: history.Delete, Worker: w.number, Subject: name}
	revoking := w.world.revoke(name)
	w.call(w.seat(), r, ev)
	w.world.revoked(revoking, *ev)
}

// list goes through the sessions of one subject.
func (w *worker) list(name string) {
	if name == "" {
		return
	}
	r := request{Op: history.List, Subject: name}
	w.patience(&r)
	ev := &history.Event{Op: history.List, Worker: w.number}
	call := w.call(w.seat(), r, ev)
	for _, s := range call.Listed {
		number, _, _, _ := parse(s.Data)
		row := w.rowOf(call, s, number)
		if row.Subject != name {
			w.violation("answer", call.begin, call.end, "session %d: List of %q gave [%s]", number, name, row)
		}
		w.world.listed(number, s.Key, *ev, row)
	}
}

// listed records that a session was seen in a list, if it is one that is being worked on.
func (w *world) listed(number int, key string, ev history.Event, row history.Row) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.members[row.Subject]
	if s == nil {
		return
	}
	for f := range s.members {
		if f.number != number || f.retired || f.lost || len(f.idents) == 0 {
			continue
		}
		ev.Family, ev.Key, ev.Row, ev.ID, ev.Outcome = number, key, row, history.Hidden, history.Done
		for _, id := range f.idents {
			if id.key == key {
				ev.ID = id.number
			}
		}
		f.events = append(f.events, &ev)
	}
}

func (w *worker) purge() {
	r := request{Op: opPurge}
	w.patience(&r)
	w.call(w.seat(), r, &history.Event{Op: opPurge, Worker: w.number})
}

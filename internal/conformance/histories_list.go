package conformance

import (
	"github.com/entsession/entsession"
	"github.com/entsession/entsession/ent/session"
	"github.com/entsession/entsession/internal/history"
)

// list goes through all sessions. Those given were there before it began, so they are listed unless they have ended.
func (w *worker) list(known []*ident) {
	p := w.patience()
	begin, seen, rows, twice := w.begin(history.List, nil), map[int]bool{}, 0, 0
	var events []*history.Event
	var err error
	var sess *entsession.Session
	for sess, err = range w.store().List(p) {
		if err != nil {
			break
		}
		rows++
		if ev := w.seen(*begin, sess); ev != nil {
			if seen[ev.Family] {
				twice++
			}
			seen[ev.Family] = true
			events = append(events, ev)
		}
	}
	end := w.clock.Add(1)
	out := w.judge(history.List, p, nil, nil, err)
	if out == history.Done && rows < 100 { // one page, which is one statement
		if twice > 0 {
			w.e.Errorf("list: %d sessions under two ids", twice)
		}
		for _, id := range known {
			if !seen[id.family] {
				ev := *begin
				ev.Op, ev.Family, ev.Outcome = history.Missing, id.family, history.Done
				events = append(events, &ev)
				seen[id.family] = true
			}
		}
	}
	for _, ev := range events {
		ev.End = end
		w.record(ev)
	}
}

// listSubject goes through the sessions of one subject. It looks twice, so one that is rotated in between may be left out.
func (w *worker) listSubject(h *held) {
	if h.row.Subject == "" {
		return
	}
	p := w.patience()
	begin := w.begin(history.List, nil)
	var events []*history.Event
	var err error
	var sess *entsession.Session
	for sess, err = range w.store().List(p, session.Subject(h.row.Subject)) {
		if err != nil {
			break
		}
		if ev := w.seen(*begin, sess); ev != nil {
			events = append(events, ev)
			if ev.Row.Subject != h.row.Subject {
				w.e.Errorf("list: [%s] for subject %q", ev.Row, h.row.Subject)
			}
		}
	}
	w.judge(history.List, p, nil, nil, err)
	end := w.clock.Add(1)
	for _, ev := range events {
		ev.End = end
		w.record(ev)
	}
}

// seen is the event of a listed session; nil for one of another history's.
func (w *worker) seen(ev history.Event, sess *entsession.Session) *history.Event {
	ev.Row, ev.Key, ev.Outcome = w.rowOf(sess), sess.Key(), history.Done
	family, _, ok := w.parse(ev.Row.Data)
	if !ok {
		return nil
	}
	ev.Family = family
	w.keep(history.List, sess, w.listed(ev.Key, family), nil)
	return &ev
}

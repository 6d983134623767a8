package conformance

import (
	"github.com/entsession/entsession"
	"github.com/entsession/entsession/ent/session"
)

// list goes through all sessions. Those given were there before it began, so they are listed unless they have ended.
func (w *worker) list(known []*ident) {
	p := w.patience()
	begin, seen, rows, twice := w.begin(opList, nil), map[int]bool{}, 0, 0
	var events []*event
	var err error
	var sess *entsession.Session
	for sess, err = range w.store().List(p) {
		if err != nil {
			break
		}
		rows++
		if ev := w.seen(*begin, sess); ev != nil {
			if seen[ev.family] {
				twice++
			}
			seen[ev.family] = true
			events = append(events, ev)
		}
	}
	end := w.clock.Add(1)
	out := w.judge(opList, p, nil, nil, err)
	if out == done && rows < 100 { // one page, which is one statement
		if twice > 0 {
			w.e.Errorf("list: %d sessions under two ids", twice)
		}
		for _, id := range known {
			if !seen[id.family] {
				ev := *begin
				ev.op, ev.family, ev.outcome = opMissing, id.family, done
				events = append(events, &ev)
				seen[id.family] = true
			}
		}
	}
	for _, ev := range events {
		ev.end = end
		w.record(ev)
	}
}

// listSubject goes through the sessions of one subject. It looks twice, so one that is rotated in between may be left out.
func (w *worker) listSubject(h *held) {
	if h.row.subject == "" {
		return
	}
	p := w.patience()
	begin := w.begin(opList, nil)
	var events []*event
	var err error
	var sess *entsession.Session
	for sess, err = range w.store().List(p, session.Subject(h.row.subject)) {
		if err != nil {
			break
		}
		if ev := w.seen(*begin, sess); ev != nil {
			events = append(events, ev)
			if ev.row.subject != h.row.subject {
				w.e.Errorf("list: [%s] for subject %q", ev.row, h.row.subject)
			}
		}
	}
	w.judge(opList, p, nil, nil, err)
	end := w.clock.Add(1)
	for _, ev := range events {
		ev.end = end
		w.record(ev)
	}
}

// seen is the event of a listed session; nil for one of another history's.
func (w *worker) seen(ev event, sess *entsession.Session) *event {
	ev.row, ev.key, ev.outcome = w.rowOf(sess), sess.Key(), done
	family, _, ok := w.parse(ev.row.data)
	if !ok {
		return nil
	}
	ev.family = family
	w.keep(opList, sess, w.listed(ev.key, family), nil)
	return &ev
}

package conformance

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/anishathalye/porcupine"

	"github.com/entsession/entsession"
)

// row is what of a session can be seen. Every write makes one that was never there before, except where it says that it doesn't.
type row struct {
	data, subject string // "" is NULL for the subject
	seat          int64  // 0 is NULL
}

func (r row) String() string {
	data := r.data
	if len(data) > 24 {
		data = data[:24] + "…"
	}
	return fmt.Sprintf("%q %q %d", data, r.subject, r.seat)
}

// columns are the extra columns that a call sets.
type columns struct {
	subject          string
	seat             int64
	hasSubj, hasSeat bool
}

func (c columns) on(r row) row {
	if c.hasSubj {
		r.subject = c.subject
	}
	if c.hasSeat {
		r.seat = c.seat
	}
	return r
}

func (c columns) list() (out []entsession.Column) {
	if c.hasSubj {
		out = append(out, entsession.Set("subject", orNull(c.subject)))
	}
	if c.hasSeat {
		out = append(out, entsession.Set("seat", c.seat))
	}
	return out
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

type op string

const (
	opCreate  op = "create"
	opLoad    op = "load"
	opSave    op = "save"
	opUpdate  op = "update"
	opTouch   op = "touch"
	opRotate  op = "rotate"
	opDelete  op = "delete"
	opRevoke  op = "revoke" // by key or, with a subject, whichever id the session has
	opList    op = "list"
	opMissing op = "list without" // it returned, and the session was not there
)

type outcome string

const (
	done     outcome = "done"
	notFound outcome = "not found"
	conflict outcome = "conflict"
	unknown  outcome = "cut"    // the caller's context ended: it may happen at any time after the call began, or never
	failed   outcome = "failed" // as it had to: nothing may be seen of it, so it is not part of the history
)

// event is a call and its answer, as far as one session is concerned: a session is what one Create made, under every id that it is
// given by Rotate.
type event struct {
	op      op
	outcome outcome
	family  int // the session's number, which its payload tells
	key, to string
	guard   row // Save, Update: what the caller had before it
	row     row // what was read or written
	cols    columns
	subject string
	worker  int

	begin, end int64
	id, toID   int // the numbers of key and to
}

func (ev *event) String() string {
	s := fmt.Sprintf("%6d to %6d  worker %2d  %s", ev.begin, ev.end, ev.worker, ev.op)
	if ev.outcome == unknown {
		s = fmt.Sprintf("%6d to   ever  worker %2d  %s", ev.begin, ev.worker, ev.op)
	}
	if ev.key != "" {
		s += fmt.Sprintf(" id %d", ev.id)
	}
	if ev.subject != "" {
		s += fmt.Sprintf(" subject %q", ev.subject)
	}
	if ev.guard != (row{}) {
		s += fmt.Sprintf(" of [%s]", ev.guard)
	}
	s += ": " + string(ev.outcome)
	if ev.row != (row{}) {
		s += fmt.Sprintf(" [%s]", ev.row)
	}
	if ev.to != "" {
		s += fmt.Sprintf(" as id %d", ev.toID)
	}
	return s
}

// Ids that are none of a caller's.
const (
	unborn = 0
	ended  = -1
	hidden = -2 // its Create or Rotate never returned it
)

// state is a session in the model.
type state struct {
	id  int // the one id that it is live under
	row row
	// again is set when the same row was written again: a session object that was loaded before is stale, which can't be told by what it holds.
	again bool
}

// after is the model: what a session is after a call, and whether the call can have had that answer.
func (s state) after(ev *event) (bool, state) {
	here := s.id == ev.id && ev.id != unborn
	alive := s.id != unborn && s.id != ended
	switch ev.op {
	case opCreate:
		return s.id == unborn, state{id: ev.toID, row: ev.row}
	case opLoad, opList:
		if ev.outcome == notFound {
			return !here, s
		}
		return here && s.row == ev.row, s
	case opMissing:
		return !alive, s
	case opTouch:
		return here == (ev.outcome == done), s
	case opSave, opUpdate:
		fits := here && s.row == ev.guard
		saved := state{id: s.id, row: ev.row, again: s.row == ev.row}
		switch {
		case ev.outcome == notFound:
			return !here, s
		case ev.outcome == conflict:
			return here && (!fits || s.again), s
		case fits:
			return true, saved
		default:
			return ev.outcome == unknown, s
		}
	case opRotate:
		next := state{id: ev.toID, row: ev.cols.on(s.row)}
		switch {
		case ev.outcome == notFound:
			return !here, s
		case ev.outcome == unknown && here:
			return true, next
		case ev.outcome == unknown:
			return true, s
		default:
			return here && next.row == ev.row, next
		}
	case opDelete, opRevoke:
		if ev.subject != "" {
			here = alive && s.row.subject == ev.subject
		}
		next := s
		if here {
			next = state{id: ended}
		}
		if ev.op == opDelete || ev.outcome == unknown {
			return true, next
		}
		return here == (ev.outcome == done), next
	}
	return false, s
}

var sessionModel = porcupine.Model{
	Init: func() any { return state{} },
	Step: func(before, in, _ any) (bool, any) { return before.(state).after(in.(*event)) },
}

// checkHistory checks one session after the other: nothing that a call does reaches two of them.
func checkHistory(t *testing.T, events []*event) {
	t.Helper()
	families := map[int][]porcupine.Operation{}
	for i, ev := range events {
		o := porcupine.Operation{ClientId: ev.worker, Input: ev, Call: ev.begin, Return: ev.end}
		if ev.outcome == unknown {
			o.Return = 1<<62 + int64(i)
		}
		families[ev.family] = append(families[ev.family], o)
	}
	for _, ops := range families {
		switch porcupine.CheckOperationsTimeout(sessionModel, ops, checkLimit) {
		case porcupine.Illegal:
			t.Errorf("no order of these calls explains their answers.\n%s", explain(ops))
			return
		case porcupine.Unknown:
			t.Errorf("in %s no order of these calls was found that explains their answers, but not all orders were tried.\n%s", checkLimit, list(ops))
			return
		}
	}
}

// explain shows the longest order that explains the calls up to a point, and the calls that were left then.
func explain(ops []porcupine.Operation) string {
	_, info := porcupine.CheckOperationsVerbose(sessionModel, ops, checkLimit)
	var longest []porcupine.Operation
	for _, some := range info.PartialLinearizationsOperations()[0] {
		if len(some) > len(longest) {
			longest = some
		}
	}
	var before state
	taken := map[*event]bool{}
	for _, o := range longest {
		ev := o.Input.(*event)
		_, before = before.after(ev)
		taken[ev] = true
	}
	rest := slices.DeleteFunc(slices.Clone(ops), func(o porcupine.Operation) bool { return taken[o.Input.(*event)] })
	const shown = 25
	return fmt.Sprintf("In this order, as far as it goes (the last %d of %d):\n%s\nThe session is then under id %d [%s], and none of these calls may come next:\n%s",
		min(shown, len(longest)), len(longest), list(longest[max(0, len(longest)-shown):]), before.id, before.row, list(byBegin(rest)[:min(shown, len(rest))]))
}

func byBegin(ops []porcupine.Operation) []porcupine.Operation {
	slices.SortFunc(ops, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	return ops
}

func list(ops []porcupine.Operation) string {
	var out strings.Builder
	for _, o := range ops {
		fmt.Fprintln(&out, o.Input)
	}
	return out.String()
}

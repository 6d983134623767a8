// Package history checks what callers of a store were told: whether there is one order of all calls that explains every answer, in
// which each call took effect at one moment between its beginning and its end (linearizability; Herlihy and Wing, "Linearizability: A
// Correctness Condition for Concurrent Objects", 1990).
//
// This file says what a call and a session are and what a call does; check.go looks for the order.
package history

import (
	"fmt"

	"github.com/entsession/entsession"
)

// Row is what of a session can be seen. Every write makes one that was never there before, except where it says that it doesn't.
type Row struct {
	Data, Subject string // "" is NULL for the subject
	Seat          int64  // 0 is NULL
}

// String shortens the payload.
func (r Row) String() string {
	data := r.Data
	if len(data) > 24 {
		data = data[:24] + "…"
	}
	return fmt.Sprintf("%q %q %d", data, r.Subject, r.Seat)
}

// Columns are the extra columns that a call sets.
type Columns struct {
	Subject             string
	Seat                int64
	HasSubject, HasSeat bool
}

// On is the row with the columns set.
func (c Columns) On(r Row) Row {
	if c.HasSubject {
		r.Subject = c.Subject
	}
	if c.HasSeat {
		r.Seat = c.Seat
	}
	return r
}

// List is the columns as the store takes them.
func (c Columns) List() (out []entsession.Column) {
	if c.HasSubject {
		out = append(out, entsession.Set("subject", orNull(c.Subject)))
	}
	if c.HasSeat {
		out = append(out, entsession.Set("seat", c.Seat))
	}
	return out
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// Op is what was called.
type Op string

// The operations.
const (
	Create  Op = "create"
	Load    Op = "load"
	Save    Op = "save"
	Update  Op = "update"
	Touch   Op = "touch"
	Rotate  Op = "rotate"
	Delete  Op = "delete" // by key or, with a subject, whichever id the session has; it doesn't tell whether it ended one
	Revoke  Op = "revoke" // by key or, with a subject, whichever id the session has; NotFound if it ended none
	List    Op = "list"
	Missing Op = "list without" // it returned, and the session was not there
)

// Outcome is how a call ended.
type Outcome string

// The outcomes.
const (
	Done     Outcome = "done"
	NotFound Outcome = "not found"
	Conflict Outcome = "conflict"
	Unknown  Outcome = "cut"    // it may happen at any time after the call began, or never
	Failed   Outcome = "failed" // as it had to: nothing may be seen of it, so it is not part of the history
)

// Event is a call and its answer, as far as one session is concerned: a session is what one Create made, under every id that it is
// given by Rotate.
type Event struct {
	Op      Op
	Outcome Outcome
	Family  int // the session's number, which its payload tells
	Key, To string
	Guard   Row // Save, Update: what the caller had before it
	Row     Row // what was read or written
	// Over says of an Unknown call that nothing of it comes after End.
	Over bool
	// Apply is what an Update makes of whatever it finds, if it is not known what it found.
	Apply   func(Row) Row
	Cols    Columns
	Subject string
	Worker  int

	Begin, End int64 // by one clock for all calls of the session
	ID, ToID   int   // the numbers of Key and To
}

// String is one line.
func (ev *Event) String() string {
	s := fmt.Sprintf("%6d to %6d  worker %2d  %s", ev.Begin, ev.End, ev.Worker, ev.Op)
	if ev.Outcome == Unknown && !ev.Over {
		s = fmt.Sprintf("%6d to   ever  worker %2d  %s", ev.Begin, ev.Worker, ev.Op)
	}
	if ev.Key != "" {
		s += fmt.Sprintf(" id %d", ev.ID)
	}
	if ev.Subject != "" {
		s += fmt.Sprintf(" subject %q", ev.Subject)
	}
	if ev.Guard != (Row{}) {
		s += fmt.Sprintf(" of [%s]", ev.Guard)
	}
	s += ": " + string(ev.Outcome)
	if ev.Row != (Row{}) {
		s += fmt.Sprintf(" [%s]", ev.Row)
	}
	if ev.To != "" {
		s += fmt.Sprintf(" as id %d", ev.ToID)
	}
	return s
}

// Ids that are none of a caller's.
const (
	unborn = 0
	ended  = -1
	// Hidden is the number of an id that its Create or Rotate never returned. Those below are too: they tell such ids apart. Where an id is
	// looked for, Hidden is any of them.
	Hidden = -2
)

// state is a session in the model.
type state struct {
	id  int // the one id that it is live under
	row Row
	// again is set when the same row was written again: a session object that was loaded before is stale, which can't be told by what it holds.
	again bool
}

// after is the model: what a session is after a call, and whether the call can have had that answer.
func (s state) after(ev *Event) (bool, state) {
	here := s.id == ev.ID && ev.ID != unborn
	if ev.ID == Hidden {
		here = s.id <= Hidden
	}
	alive := s.id != unborn && s.id != ended
	switch ev.Op {
	case Create:
		return s.id == unborn, state{id: ev.ToID, row: ev.Row}
	case Load, List:
		if ev.Outcome == NotFound {
			return !here, s
		}
		return here && s.row == ev.Row, s
	case Missing:
		return !alive, s
	case Touch:
		return here == (ev.Outcome == Done), s
	case Update:
		if ev.Apply != nil {
			return s.applied(ev, here)
		}
		return s.written(ev, here)
	case Save:
		return s.written(ev, here)
	case Rotate:
		next := state{id: ev.ToID, row: ev.Cols.On(s.row)}
		switch {
		case ev.Outcome == NotFound:
			return !here, s
		case ev.Outcome == Unknown && here:
			return true, next
		case ev.Outcome == Unknown:
			return true, s
		default:
			return here && next.row == ev.Row, next
		}
	case Delete, Revoke:
		if ev.Subject != "" {
			here = alive && s.row.Subject == ev.Subject
		}
		next := s
		if here {
			next = state{id: ended}
		}
		if ev.Op == Delete || ev.Outcome == Unknown {
			return true, next
		}
		return here == (ev.Outcome == Done), next
	}
	return false, s
}

// written is a write that is guarded by what its caller had.
func (s state) written(ev *Event, here bool) (bool, state) {
	fits := here && s.row == ev.Guard
	saved := state{id: s.id, row: ev.Row, again: s.row == ev.Row}
	switch {
	case ev.Outcome == NotFound:
		return !here, s
	case ev.Outcome == Conflict:
		return here && (!fits || s.again), s
	case fits:
		return true, saved
	default:
		return ev.Outcome == Unknown, s
	}
}

// applied is an Update of which only that is known what it does.
func (s state) applied(ev *Event, here bool) (bool, state) {
	next := state{id: s.id, row: ev.Apply(s.row)}
	switch {
	case ev.Outcome == NotFound:
		return !here, s
	case ev.Outcome == Unknown && here:
		return true, next
	case ev.Outcome == Unknown:
		return true, s
	default:
		return here && next.row == ev.Row, next
	}
}

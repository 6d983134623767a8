package conformance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/internal/fault"
	"github.com/entsession/entsession/internal/history"
)

// sentinels are the errors that each operation may answer with while nothing is wrong. Any other ends the test.
var sentinels = map[history.Op][]error{
	history.Create: nil,
	history.Load:   {entsession.ErrNotFound},
	history.Save:   {entsession.ErrNotFound, entsession.ErrConflict},
	history.Update: {entsession.ErrNotFound},
	history.Touch:  {entsession.ErrNotFound},
	history.Rotate: {entsession.ErrNotFound},
	history.Delete: nil,
	history.Revoke: nil,
	history.List:   nil,
}

// refusal is a write that must fail alone, and the error that it must fail with.
type refusal struct {
	what    string
	on      []history.Op
	strict  bool // on a database that checks lengths and types
	cols    []entsession.Column
	large   bool
	abandon bool
	is      func(error) bool
}

// largest is the payload limit of the histories' stores.
const largest = 2000

var errMine = errors.New("the function changed its mind")

var anyWrite = []history.Op{history.Create, history.Save, history.Update, history.Rotate}

var refusals = []refusal{
	{what: "a check", on: anyWrite, cols: set("seat", 13), is: ofKind(fault.Constraint)},
	{what: "a check", on: anyWrite, cols: append(set("seat", 13), set("subject", "nobody")...), is: ofKind(fault.Constraint)},
	{what: "a unique column", on: anyWrite, cols: set("badge", "taken"), is: ofKind(fault.Duplicate)},
	{what: "too long a text", on: anyWrite, strict: true, cols: set("zone", "12345"), is: ofKind(fault.Constraint)},
	{what: "no number", on: anyWrite, strict: true, cols: set("seat", "twelve"), is: ofKind(fault.Constraint, fault.Charset, fault.Other)},
	{what: "no value of a database's", on: anyWrite, cols: set("seat", struct{ X chan int }{}), is: ofKind(fault.Other)},
	{what: "no such column", on: anyWrite, cols: set("nope", 1), is: columnError("nope")},
	{what: "the store's own column", on: anyWrite, cols: set("version", 1), is: columnError("version")},
	{what: "too large a payload", on: []history.Op{history.Create, history.Save, history.Update}, large: true, is: func(err error) bool { return errors.Is(err, entsession.ErrTooLarge) }},
	{what: "the function's error", on: []history.Op{history.Update}, abandon: true, is: func(err error) bool { return err == errMine }},
}

func set(column string, value any) []entsession.Column {
	return []entsession.Column{entsession.Set(column, value)}
}

func columnError(name string) func(error) bool {
	return func(err error) bool {
		var column *entsession.ColumnError
		return errors.As(err, &column) && column.Column == name
	}
}

// ofKind is an error of the database's or of its driver's.
func ofKind(kinds ...fault.Kind) func(error) bool {
	return func(err error) bool {
		for _, not := range []error{
			entsession.ErrNotFound, entsession.ErrConflict, entsession.ErrTooLarge, entsession.ErrInvalidID, entsession.ErrClosed,
			context.Canceled, context.DeadlineExceeded,
		} {
			if errors.Is(err, not) {
				return false
			}
		}
		return slices.Contains(kinds, fault.Of(err))
	}
}

// refuse draws what is wrong with a write: most often nothing.
func (w *worker) refuse(o history.Op) *refusal {
	if w.rng.IntN(9) > 0 {
		return nil
	}
	for {
		r := &refusals[w.rng.IntN(len(refusals))]
		if slices.Contains(r.on, o) && (!r.strict || w.e.strict()) {
			return r
		}
	}
}

// patience is a call's context.
type patience struct {
	context.Context
	before  bool // it ended before the call
	ends    error
	release func()
}

// patience draws one: it may end before the call, or at some moment during it.
func (w *worker) patience() patience {
	within, cancel := context.WithCancel(w.within)
	switch d := w.rng.IntN(100); {
	case w.quiet || d < 84:
		return patience{Context: within, release: cancel}
	case d < 87:
		cancel()
		return patience{Context: within, before: true, ends: context.Canceled, release: cancel}
	case d < 96:
		withdraw := w.offer(w.number, cancel)
		return patience{Context: within, ends: context.Canceled, release: func() { withdraw(); cancel() }}
	default:
		brief, release := context.WithTimeout(within, time.Duration(w.rng.IntN(3000))*time.Microsecond)
		return patience{Context: brief, ends: context.DeadlineExceeded, release: func() { release(); cancel() }}
	}
}

// judge tells what an error means, and ends the test if it should not have come.
func (w *worker) judge(o history.Op, p patience, r *refusal, id *ident, err error) (out history.Outcome) {
	defer p.release()
	defer func() { w.counts[string(o)+" "+string(out)]++ }()
	w.secret(o, id, err)
	switch {
	case p.before && p.Err() == context.Canceled && errors.Is(err, context.Canceled):
		return history.Failed
	case p.before:
		w.e.Errorf("%s: %v, and its context had ended before it began", o, err)
	case err == nil && r == nil:
		return history.Done
	case err == nil:
		w.e.Errorf("%s: succeeded with %s", o, r.what)
	case slices.ContainsFunc(sentinels[o], func(s error) bool { return errors.Is(err, s) }):
		if errors.Is(err, entsession.ErrConflict) {
			return history.Conflict
		}
		return history.NotFound
	case r != nil && r.is(err):
		return history.Failed
	case p.ends != nil && errors.Is(err, p.ends):
		if r != nil {
			return history.Failed
		}
		return history.Unknown
	case w.within.Err() != nil:
		w.e.Errorf("%s: no answer within %v: %v", o, historyLimit, err)
	case r != nil:
		w.e.Errorf("%s with %s: another error than that: %v", o, r.what, err)
	case p.Err() != nil:
		w.e.Errorf("%s: the context ended (%v), and another error came: %v", o, p.Err(), err)
	default:
		w.e.Errorf("%s: %v", o, err)
	}
	return history.Failed
}

// secret checks that an error tells no id.
func (w *worker) secret(o history.Op, id *ident, err error) {
	if err == nil || slices.ContainsFunc(sentinels[o], func(s error) bool { return err == s }) {
		return
	}
	text := fmt.Sprintf("%v %+v %#v", err, err, err)
	for _, id := range append(w.current(), id) {
		if id != nil && (id.id != "" && strings.Contains(text, id.id) || strings.Contains(text, id.key)) {
			w.e.Errorf("%s: an error tells an id", o)
		}
	}
}

// rowOf is what a session object holds. A new session has those columns only that it was given.
func (w *worker) rowOf(s *entsession.Session) history.Row {
	r := history.Row{Data: string(s.Data)}
	var subject, seat error
	if _, ok := s.Get("subject"); ok {
		r.Subject, subject = entsession.Get[string](s, "subject")
	}
	if _, ok := s.Get("seat"); ok {
		r.Seat, seat = entsession.Get[int64](s, "seat")
	}
	if err := errors.Join(subject, seat); err != nil {
		w.e.Errorf("reading a column: %v", err)
	}
	return r
}

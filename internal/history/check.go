package history

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

var sessionModel = porcupine.Model{
	Init: func() any { return state{} },
	Step: func(before, in, _ any) (bool, any) { return before.(state).after(in.(*Event)) },
}

// ErrUndecided is the error of a history that could not be checked in time.
var ErrUndecided = errors.New("no order of these calls was found that explains their answers, but not all orders were tried")

// Check looks for an order that explains the answers of all calls of one session. The error that there is none shows the calls, and how far
// they go together. Looking for longer than limit is ErrUndecided.
func Check(events []*Event, limit time.Duration) error {
	ops := make([]porcupine.Operation, 0, len(events))
	for i, ev := range events {
		o := porcupine.Operation{ClientId: ev.Worker, Input: ev, Call: ev.Begin, Return: ev.End}
		if ev.Outcome == Unknown && !ev.Over {
			o.Return = 1<<62 + int64(i)
		}
		ops = append(ops, o)
	}
	switch porcupine.CheckOperationsTimeout(sessionModel, ops, limit) {
	case porcupine.Illegal:
		return fmt.Errorf("no order of these calls explains their answers.\n%s", explain(ops, limit))
	case porcupine.Unknown:
		return fmt.Errorf("in %s %w:\n%s", limit, ErrUndecided, list(ops))
	}
	return nil
}

// ByFamily are the events of each session.
func ByFamily(events []*Event) map[int][]*Event {
	families := map[int][]*Event{}
	for _, ev := range events {
		families[ev.Family] = append(families[ev.Family], ev)
	}
	return families
}

// explain shows the longest order that explains the calls up to a point, and the calls that were left then.
func explain(ops []porcupine.Operation, limit time.Duration) string {
	_, info := porcupine.CheckOperationsVerbose(sessionModel, ops, limit)
	var longest []porcupine.Operation
	for _, some := range info.PartialLinearizationsOperations()[0] {
		if len(some) > len(longest) {
			longest = some
		}
	}
	var before state
	taken := map[*Event]bool{}
	for _, o := range longest {
		ev := o.Input.(*Event)
		_, before = before.after(ev)
		taken[ev] = true
	}
	rest := slices.DeleteFunc(slices.Clone(ops), func(o porcupine.Operation) bool { return taken[o.Input.(*Event)] })
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

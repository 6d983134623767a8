package torture

import (
	"fmt"
	"time"

	"github.com/entsession/entsession/internal/history"
)

// What every answer must keep to.
const (
	// overMost is by how much a call may outlive its context, on a machine that is not busy.
	overMost = 100 * time.Millisecond
	// lateTimes is how often a busy machine may come late in one call: the end of a context passes through several goroutines.
	lateTimes = 4
	// errorMargin is what the retries of a call may add to the statement timeouts of its statements.
	errorMargin = 2 * time.Second
)

// statements is how many a call sends at most, each of which may take the statement timeout, when nothing comes back. A Purge waits for others to
// end theirs.
var statements = map[history.Op]int{
	history.Create: 1, history.Load: 1, history.Save: 2, history.Update: 8, history.Touch: 3, history.Rotate: 2, history.Delete: 1,
	history.Revoke: 4, history.List: 2,
}

// call is an answer, and where it came from.
type call struct {
	answer
	op         history.Op
	seat       *seat
	life       int
	begin, end int64
}

// call makes a call and judges the answer. It completes the event.
func (c *campaign) call(s *seat, r request, ev *history.Event) call {
	var a answer
	life, sent := 0, false
	for n := 0; ; n++ {
		if a, life, sent = s.call(r); sent || n == 200 {
			break
		}
		time.Sleep(10 * time.Millisecond) // its client was killed, and the next is not there yet
	}
	if !sent {
		ev.Outcome = history.Failed
		return call{}
	}
	out := call{a, r.Op, s, life, a.Begin - c.start, a.End - c.start}
	ev.Begin, ev.End, ev.Outcome = out.begin, out.end, outcomeOf(a.Class)
	c.judge(r, out)
	return out
}

func outcomeOf(class string) history.Outcome {
	switch class {
	case "":
		return history.Done
	case classNotFound:
		return history.NotFound
	case classConflict:
		return history.Conflict
	case classOverloaded, classGone:
		return history.Failed // before anything was sent
	}
	return history.Unknown
}

// system tells whether an error is none of the caller's doing.
func system(class string) bool {
	switch class {
	case "", classNotFound, classConflict, classGone, classDied, classContext:
		return false
	}
	return true
}

func (c *campaign) judge(r request, a call) {
	took := time.Duration(a.end - a.begin)
	c.tally.call(r.Op, a.Class, took, a.Over, max(a.Late, a.Starved))
	what := func(format string, args ...any) string {
		return fmt.Sprintf("client %d: %s: ", a.seat.number, r.Op) + fmt.Sprintf(format, args...)
	}
	if a.Leak {
		c.violation("secret", a.begin, a.end, "%s", what("the error names an id: %q", secret.ReplaceAllString(a.Text, "[id]")))
	}
	if allowed := overMost + lateTimes*a.Late + a.Starved; a.Over > allowed {
		c.violation("deadline", a.begin, a.end, "%s", what("answered %v after its context had ended (limit %v, cancel %v; timers came up to %v late, threads waited %v for a processor): %q",
			a.Over, r.Limit, r.Cancel, a.Late, a.Starved, a.Text))
	}
	if a.Class == classDied {
		return
	}
	slack := lateTimes * max(a.Late, c.timer.late(a.Begin)) // the proxies are in this process
	failed := system(a.Class) || a.Class == classContext && (r.Limit == longLimit && r.Cancel == 0)
	if !failed {
		return
	}
	c.weather.failed(a.begin, a.end)
	switch {
	case !c.weather.calm(a.begin, a.end, slack):
	case c.probe.longest(a.begin, a.end) > busy:
		c.tally.excuse()
	default:
		c.violation("recovery", a.begin, a.end, "%s", what("failed while nothing was wrong: %s: %q", a.Class, a.Text))
	}
	if n := statements[r.Op]; n > 0 && system(a.Class) {
		n++ // the wait for a batch, or for the turn to write, has a bound of its own
		if allowed := time.Duration(n)*StatementTimeout + errorMargin + slack; took > allowed {
			c.violation("slow error", a.begin, a.end, "%s", what("took %v, more than %v, for the error: %q", took, allowed, a.Text))
		}
	}
}

// rowOf is what a session object holds, as histories keep it.
func (c *campaign) rowOf(a call, s seen, family int) history.Row {
	number, write, count, ok := parse(s.Data)
	switch {
	case !ok:
		c.violation("payload", a.begin, a.end, "session %d: %s gave a payload of %d bytes that nobody wrote: %.100q", family, a.op, len(s.Data), s.Data)
	case number != family:
		c.violation("payload", a.begin, a.end, "session %d: %s gave the payload of session %d", family, a.op, number)
	case s.Broken != "":
		c.violation("payload", a.begin, a.end, "session %d: %s: reading a column: %s", family, a.op, s.Broken)
	}
	return history.Row{Data: head(number, write, count), Subject: s.Subject, Seat: s.Seat}
}

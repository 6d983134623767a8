package torture

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/entsession/entsession/internal/history"
)

// Report is what a campaign did and found. Times are in milliseconds.
type Report struct {
	Target   string  `json:"target"`
	Seed     uint64  `json:"seed"`
	Seconds  float64 `json:"seconds"`
	Clients  int     `json:"clients"`
	Local    int     `json:"local"`
	Workers  int     `json:"workers"`
	Batching string  `json:"batching"`

	// Faults says how often each was injected.
	Faults map[string]int `json:"faults"`
	// Operations says how often each ended in which way: "ok", "not found", or a class of errors.
	Operations map[history.Op]map[string]int `json:"operations"`
	Calls      int                           `json:"calls"`
	// Sessions were checked, with so many calls in their histories; Kept of them were left alone until the end.
	Sessions int `json:"sessions"`
	Events   int `json:"events"`
	Kept     int `json:"kept"`

	// Undecided are the sessions whose check took too long to be finished.
	Undecided int `json:"undecided"`

	// Undone are the sessions of which a crash undid what had been read and not acknowledged; see Fault.Undoes.
	Undone int `json:"undone"`

	// LongestOver is by how much a call outlived its context, Late how late timers came then, or how long threads waited for a processor: of that call for which most is left between the two.
	LongestOver float64    `json:"longest_over_ms"`
	Late        float64    `json:"longest_over_late_ms"`
	OverOp      history.Op `json:"longest_over_op"`
	// SlowestError is the longest that a call took for an error that was none of its context's.
	SlowestError   float64    `json:"slowest_error_ms"`
	SlowestErrorOp history.Op `json:"slowest_error_op"`
	// Recovery is, for each fault, how long after its end the last call began that failed.
	Recovery map[string]Recovery `json:"recovery"`
	// Excused are calls that failed while nothing was wrong but the machine's load: a plain connection was slow too.
	Excused int `json:"excused"`
	// Heap is by how much a client's memory grew at most, in bytes.
	Heap int64 `json:"heap_growth_bytes"`

	Violations []Violation `json:"violations"`
	// More violations were found than are kept.
	More int `json:"more_violations"`
}

// Recovery sums up the recoveries from one kind of fault.
type Recovery struct {
	Faults int     `json:"faults"`
	Median float64 `json:"p50_ms"`
	Max    float64 `json:"max_ms"`
}

// Violation is a promise that was broken.
type Violation struct {
	// Kind is history, counter, revocation, durability, rotation, payload, answer, deadline, slow error, recovery, secret or leak.
	Kind string `json:"kind"`
	// At is when, in seconds since the campaign's beginning.
	At     float64 `json:"at"`
	What   string  `json:"what"`
	Faults string  `json:"faults"` // around it
	Seed   uint64  `json:"seed"`
}

func (v Violation) String() string {
	return fmt.Sprintf("VIOLATION (%s) at %.3fs, seed %d\n%s\nFaults around it: %s\n", v.Kind, v.At, v.Seed, strings.TrimRight(v.What, "\n"), v.Faults)
}

// violationsKept are printed in full.
const violationsKept = 20

// tally counts.
type tally struct {
	mu sync.Mutex
	r  Report
}

func newTally() *tally {
	return &tally{r: Report{Faults: map[string]int{}, Operations: map[history.Op]map[string]int{}}}
}

func (t *tally) fault(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.r.Faults[name]++
}

func (t *tally) undecided() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.r.Undecided++
}

func (t *tally) undone() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.r.Undone++
}

func (t *tally) excuse() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.r.Excused++
}

func (t *tally) checked(events int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.r.Sessions++
	t.r.Events += events
}

func (t *tally) gauge(first, last Gauge) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if first.Heap > 0 {
		t.r.Heap = max(t.r.Heap, int64(last.Heap)-int64(first.Heap))
	}
}

func (t *tally) call(op history.Op, class string, took, over, late time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := &t.r
	r.Calls++
	if r.Operations[op] == nil {
		r.Operations[op] = map[string]int{}
	}
	r.Operations[op][cmp.Or(class, "ok")]++
	if over > 0 && ms(over)-ms(late) > r.LongestOver-r.Late || r.OverOp == "" {
		r.LongestOver, r.Late, r.OverOp = ms(over), ms(late), op
	}
	if system(class) && ms(took) > r.SlowestError {
		r.SlowestError, r.SlowestErrorOp = ms(took), op
	}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// violation notes that a promise was broken, and tells so at once.
func (c *campaign) violation(kind string, begin, end int64, format string, args ...any) {
	v := Violation{Kind: kind, At: time.Duration(begin).Seconds(), What: fmt.Sprintf(format, args...), Faults: c.weather.around(begin, end), Seed: c.Seed}
	t := c.tally
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.r.Violations) >= violationsKept {
		t.r.More++
		return
	}
	t.r.Violations = append(t.r.Violations, v)
	fmt.Fprintf(c.Log, "\n%s\n", v)
}

// startProgress tells now and then how it goes.
func (c *campaign) startProgress() (stop func()) {
	ended, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		for {
			select {
			case <-time.After(c.Every):
				c.progress()
			case <-ended:
				return
			}
		}
	}()
	return func() { close(ended); <-gone }
}

func (c *campaign) progress() {
	c.tally.mu.Lock()
	defer c.tally.mu.Unlock()
	r := &c.tally.r
	fmt.Fprintf(c.Log, "%7s  %d calls, %d sessions checked, %d violations; faults: %s; errors: %s\n",
		time.Duration(c.at()).Round(time.Second), r.Calls, r.Sessions, len(r.Violations)+r.More, counts(r.Faults), counts(r.errors()))
}

// errors counts them by class.
func (r *Report) errors() map[string]int {
	out := map[string]int{}
	for _, classes := range r.Operations {
		for class, n := range classes {
			if class != "ok" && class != classNotFound && class != classConflict {
				out[class] += n
			}
		}
	}
	return out
}

func counts(m map[string]int) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(m)) {
		out = append(out, fmt.Sprintf("%s %d", name, m[name]))
	}
	return cmp.Or(strings.Join(out, ", "), "none")
}

func (c *campaign) report(took time.Duration) *Report {
	c.tally.mu.Lock()
	defer c.tally.mu.Unlock()
	r := c.tally.r
	r.Target, r.Seed, r.Seconds = c.Target.Name(), c.Seed, took.Seconds()
	r.Clients, r.Local, r.Workers, r.Batching = c.Clients, c.Local, c.Workers, c.Batching
	r.Kept = len(c.world.kept)
	r.Recovery = map[string]Recovery{}
	for name, all := range c.weather.recovery() {
		slices.Sort(all)
		r.Recovery[name] = Recovery{Faults: len(all), Median: ms(all[len(all)/2]), Max: ms(all[len(all)-1])}
	}
	return &r
}

// Text writes the report for people.
func (r *Report) Text(out io.Writer) {
	fmt.Fprintf(out, "%s: seed %d, %.0f s, %d client processes and %d stores in this one, %d workers, batching %s\n",
		r.Target, r.Seed, r.Seconds, r.Clients, r.Local, r.Workers, r.Batching)
	fmt.Fprintf(out, "%d calls; %d sessions checked (%d calls in their histories), %d of them left alone until the end\n", r.Calls, r.Sessions, r.Events, r.Kept)
	total := 0
	for _, n := range r.Faults {
		total += n
	}
	fmt.Fprintf(out, "\n%d faults, and how long after each the last call began that failed:\n", total)
	for _, name := range slices.Sorted(maps.Keys(r.Faults)) {
		fmt.Fprintf(out, "  %-22s %4d", name, r.Faults[name])
		if rec, ok := r.Recovery[name]; ok {
			fmt.Fprintf(out, "   p50 %5.0f ms, max %5.0f ms (of %d)", rec.Median, rec.Max, rec.Faults)
		}
		fmt.Fprintln(out)
	}
	fmt.Fprintln(out, "\ncalls:")
	for _, op := range slices.Sorted(maps.Keys(r.Operations)) {
		fmt.Fprintf(out, "  %-8s %s\n", op, counts(r.Operations[op]))
	}
	fmt.Fprintf(out, "\nlongest beyond its context: %.1f ms (%s; the machine was %.1f ms late)\n", r.LongestOver, r.OverOp, r.Late)
	fmt.Fprintf(out, "slowest error: %.0f ms (%s)\n", r.SlowestError, r.SlowestErrorOp)
	if r.Undecided > 0 {
		fmt.Fprintf(out, "%d sessions had a history that could not be checked in %v\n", r.Undecided, checkLimit)
	}
	if r.Undone > 0 {
		fmt.Fprintf(out, "%d sessions were read before their change was safe, and a crash undid it: the database shows it early\n", r.Undone)
	}
	if r.Excused > 0 {
		fmt.Fprintf(out, "%d calls failed for nothing but the machine's load: a plain connection was slow too\n", r.Excused)
	}
	fmt.Fprintf(out, "heap of a client grew by at most %d kB\n", r.Heap>>10)
	fmt.Fprintf(out, "\nviolations: %d\n", len(r.Violations)+r.More)
	for _, v := range r.Violations { // the log has them in full
		what, _, _ := strings.Cut(v.What, "\n")
		fmt.Fprintf(out, "  %s at %.3fs: %s\n", v.Kind, v.At, what)
	}
}

// JSON writes the report for machines.
func (r *Report) JSON(out io.Writer) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

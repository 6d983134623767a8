package torture

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"
)

// settle is within what time of the database's return every call succeeds again.
const settle = 2 * time.Second

// weather knows when which fault was, and so when a call may fail.
type weather struct {
	mu     sync.Mutex
	spells []*spell
}

// spell is the time of one fault.
type spell struct {
	name       string
	begin, end int64         // end is MaxInt64 as long as it lasts
	settle     time.Duration // after end
	undoes     bool
	last       int64 // when the last call began that failed because of it; 0: none did after the end
}

func (w *weather) begin(f Fault, at int64) (end func(at int64)) {
	s := &spell{name: f.Name, begin: at, end: math.MaxInt64, settle: max(f.Settle, settle), undoes: f.Undoes}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.spells = append(w.spells, s)
	return func(at int64) {
		w.mu.Lock()
		defer w.mu.Unlock()
		s.end = at
	}
}

// calm tells whether nothing excuses a call that failed. slack is how much longer than it should things took for want of a processor.
func (w *weather) calm(begin, end int64, slack time.Duration) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.spells {
		if end < s.begin {
			continue
		}
		if s.end == math.MaxInt64 || begin <= s.end+int64(s.settle+slack) {
			return false
		}
	}
	return true
}

// undoneMost is how long before a crash a commit may have been read that it undoes.
const undoneMost = time.Second

// undone tells whether what was read then may have been undone.
func (w *weather) undone(end int64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.spells, func(s *spell) bool { return s.undoes && end > s.begin-int64(undoneMost) && end < s.end })
}

// failed notes a failure, for the time that the recovery took.
func (w *weather) failed(begin, end int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := len(w.spells) - 1; i >= 0; i-- { // the last fault that it can be due to
		if s := w.spells[i]; end > s.begin {
			if begin > s.end {
				s.last = max(s.last, begin)
			}
			return
		}
	}
}

// recovery is how long after the end of each fault the last call began that failed. A fault that was followed too soon by the next is
// left out.
func (w *weather) recovery() (took map[string][]time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	took = map[string][]time.Duration{}
	for i, s := range w.spells {
		if i+1 < len(w.spells) && w.spells[i+1].begin < s.end+int64(s.settle) {
			continue
		}
		took[s.name] = append(took[s.name], time.Duration(max(0, s.last-s.end)))
	}
	return took
}

// around tells which faults were near.
func (w *weather) around(begin, end int64) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	const near = int64(10 * time.Second)
	for _, s := range w.spells {
		if s.end < begin-near && s.end != math.MaxInt64 || s.begin > end+near {
			continue
		}
		until := "now"
		if s.end != math.MaxInt64 {
			until = stamp(s.end)
		}
		out = append(out, fmt.Sprintf("%s from %s to %s", s.name, stamp(s.begin), until))
	}
	if len(out) == 0 {
		return "none"
	}
	return strings.Join(out, "; ")
}

// stamp is a time since the campaign's beginning.
func stamp(at int64) string { return fmt.Sprintf("%.3fs", time.Duration(at).Seconds()) }

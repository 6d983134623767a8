package conformance

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/internal/dbtest"
	"github.com/entsession/entsession/internal/history"
)

// Histories at random: a few dozen goroutines work on a few sessions, so few that calls for one id meet all the time. Each call is
// written down with its answer, and every answer must fit into one order of the calls, in which each took effect at one moment between
// its beginning and its end (linearizability; Herlihy and Wing, "Linearizability: A Correctness Condition for Concurrent Objects", 1990).
//
// This file runs them; histories_calls.go and histories_list.go draw the calls, histories_world.go is what the goroutines share,
// histories_answers.go has the errors that may come; internal/history has the model of a session.

const (
	// seedVar takes the seed of a run, which a failure prints: the same calls are drawn again. What meets what is up to the scheduler.
	seedVar = "ENTSESSION_TEST_SEED"
	// lengthVar makes the run last that long, such as 10m, and tell how it went. Give go test a -timeout beyond it.
	lengthVar = "ENTSESSION_TEST_history.ORIES"
)

const (
	historyWorkers = 32
	historySlots   = 8
	historyCalls   = 20 // of each worker, in one history
	shortHistories = 3
	shortLength    = time.Second      // no further history after that
	historyLimit   = time.Minute      // for one history: a call that is not answered until then never is
	checkLimit     = 30 * time.Second // for one session; a second is very long
)

func testHistories(t *testing.T, e *env) {
	seed, length := historySettings(t)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("to draw the same calls again: %s=%d", seedVar, seed)
		}
	})
	config := func(c *entsession.Config) {
		c.TouchInterval, c.MaxDataBytes = -1, largest
		c.MaxOpenConns = 2 // so that calls wait for each other, and travel together
	}
	// As two processes would have them; one of them works as it does by default, where a call may go alone or not, whatever the mode is.
	stores := []*entsession.Store{e.store(config), e.byDefault(config)}
	e.exec("ALTER TABLE sessions ADD COLUMN seat bigint NULL CHECK (seat <> 13)")
	e.exec("ALTER TABLE sessions ADD COLUMN zone varchar(4) NULL")
	e.exec("ALTER TABLE sessions ADD COLUMN badge varchar(40) NULL")
	e.exec("CREATE UNIQUE INDEX one_badge ON sessions (badge)")
	e.exec("INSERT INTO sessions (id, timeout, badge) VALUES ('holder', 1, 'taken')")

	total, report := counts{}, newReport(t, length)
	for n := 0; report.more(n); n++ {
		w := &world{e: e, stores: stores, round: n, idents: map[string]*ident{}}
		counted, events := w.run(rand.New(rand.NewPCG(seed, uint64(n))))
		for what, n := range counted {
			total[what] += n
			if strings.HasSuffix(what, " "+string(history.Unknown)) {
				total[string(history.Unknown)] += n
			}
		}
		if t.Failed() {
			return
		}
		checkHistory(t, events)
		if t.Failed() {
			return
		}
		_, err := stores[0].Revoke(ctx)
		require.NoError(t, err)
		e.exec("DELETE FROM sessions WHERE badge IS NULL")
		report.progress(total)
	}
	t.Log(total)
	for _, store := range stores {
		for _, l := range store.Stats().Lanes {
			t.Logf("%-6s %6d alone, %6d in %5d batches (%d failed) of at most %d; %d left", l.Name, l.Alone, l.Batched, l.Batches, l.Failed, l.Largest, l.Left)
		}
	}
	for _, what := range []string{ // or nothing was tried
		"create done", "load done", "load not found", "save done", "save conflict", "save not found", "update done", "touch done", "rotate done",
		"delete done", "revoke done", "list done", "save failed", "create failed", "cut",
	} {
		require.NotZero(t, total[what], what)
	}
}

func historySettings(t *testing.T) (seed uint64, length time.Duration) {
	t.Helper()
	seed = rand.Uint64()
	var err error
	if text := os.Getenv(seedVar); text != "" {
		seed, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err, seedVar)
	}
	if text := os.Getenv(lengthVar); text != "" {
		length, err = time.ParseDuration(text)
		require.NoError(t, err, lengthVar)
	}
	return seed, length
}

// run lets the workers do one history, and looks at what is left. It returns how often what was done, and what is to be checked.
func (w *world) run(rng *rand.Rand) (counts, []*history.Event) {
	workers := make([]*worker, historyWorkers)
	w.cancels = make([]func(), len(workers))
	within, cancel := context.WithTimeout(ctx, historyLimit)
	defer cancel()
	w.within = within
	var wg sync.WaitGroup
	for i := range workers {
		workers[i] = &worker{world: w, number: i, rng: rand.New(rand.NewPCG(rng.Uint64(), rng.Uint64())), counts: counts{}}
		wg.Go(func() {
			for range historyCalls {
				if w.e.Failed() {
					return
				}
				workers[i].call()
			}
		})
	}
	wg.Wait()
	last := &worker{world: w, number: len(workers), rng: rng, counts: counts{}, quiet: true}
	last.look()
	total, events := counts{}, []*history.Event{}
	for _, worker := range append(workers, last) {
		for what, n := range worker.counts {
			total[what] += n
		}
		events = append(events, worker.events...)
	}
	for _, ev := range events {
		ev.ID, ev.ToID = w.idOf(ev.Key), w.idOf(ev.To)
	}
	return total, events
}

// counts says how often each operation ended in which way.
type counts map[string]int

func (c counts) String() string {
	var out []string
	for what, n := range c {
		out = append(out, fmt.Sprintf("%s %d", what, n))
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// report decides how long the run goes on and, in the long form, tells how it goes.
type report struct {
	t           *testing.T
	start, next time.Time
	length      time.Duration
	every       time.Duration
	histories   int
}

func newReport(t *testing.T, length time.Duration) *report {
	r := &report{t: t, start: time.Now(), length: length, every: min(length/10, time.Minute)}
	r.next = r.start
	return r
}

func (r *report) more(n int) bool {
	r.histories = n
	spent := time.Since(r.start)
	if r.length > 0 {
		return n == 0 || spent < r.length
	}
	return n == 0 || n < shortHistories && spent < shortLength
}

func (r *report) progress(total counts) {
	if r.length == 0 || time.Now().Before(r.next) {
		return
	}
	r.next = r.next.Add(r.every)
	calls := 0
	for what, n := range total {
		if what != string(history.Unknown) {
			calls += n
		}
	}
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	r.t.Logf("%8s: %d histories, %d calls; heap %.1f MB in %d objects, %d goroutines",
		time.Since(r.start).Round(time.Second), r.histories+1, calls, float64(m.HeapAlloc)/(1<<20), m.HeapObjects, runtime.NumGoroutine())
}

// byDefault opens a store that is left as it was opened.
func (e *env) byDefault(change func(*entsession.Config)) *entsession.Store {
	e.Helper()
	store, err := entsession.Open(ctx, e.config(change))
	require.NoError(e, err)
	e.Cleanup(func() { require.NoError(e, store.Close()) })
	return store
}

// strict tells whether the database is one that checks lengths and types.
func (e *env) strict() bool { return e.db.Kind.Dialect != dbtest.SQLite }

// checkHistory checks one session after the other: nothing that a call does reaches two of them.
func checkHistory(t *testing.T, events []*history.Event) {
	t.Helper()
	for _, calls := range history.ByFamily(events) {
		if err := history.Check(calls, checkLimit); err != nil {
			t.Error(err)
			return
		}
	}
}

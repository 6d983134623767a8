// Package measure runs callers against a store for a while, counts what they did and what it cost the process, and makes
// figures of many such rounds.
//
// window.go runs one round, process.go reads what the process used, figures.go makes medians and ratios of rounds.
package measure

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Round is what one store did in one window.
type Round struct {
	Ops     int64   `json:"calls"`
	Seconds float64 `json:"seconds"`
	P50     float64 `json:"p50"` // latency of one call, in microseconds
	P99     float64 `json:"p99"`
	CPU     float64 `json:"cpu"`         // of this process, user and system, for each call, in microseconds
	Allocs  float64 `json:"allocs"`      // heap objects for each call
	Bytes   float64 `json:"bytes"`       // heap bytes for each call
	Conns   int     `json:"connections"` // connections that were open at the end
}

// Throughput is calls per second.
func (r Round) Throughput() float64 { return float64(r.Ops) / r.Seconds }

// Window is how long a round takes.
type Window struct {
	Warmup time.Duration
	Length time.Duration
}

// ErrNothing says that no call returned within the window: it is too short, or the disk stood still.
var ErrNothing = errors.New("no call returned within the window")

// Round runs the callers, each in a goroutine that calls its function again and again. What returns within the window
// counts; the first error ends the round, and is its result.
func (w Window) Round(ctx context.Context, callers []func() error) (Round, error) {
	runtime.GC() // the garbage of the store before is not this one's
	r := &round{}
	all := make([]*caller, len(callers))
	for i, call := range callers {
		all[i] = &caller{call: call, latency: histograms.Get().(*hdrhistogram.Histogram)}
		r.running.Go(func() { all[i].run(r) })
	}
	defer func() {
		for _, c := range all {
			c.latency.Reset()
			histograms.Put(c.latency)
		}
	}()

	r.wait(ctx, w.Warmup)
	before := now()
	start := time.Now()
	r.phase.Store(counting)
	r.wait(ctx, w.Length)
	seconds := time.Since(start).Seconds()
	used := now().since(before)
	r.phase.Store(over)
	r.running.Wait()

	if err := errors.Join(ctx.Err(), r.failure()); err != nil {
		return Round{}, err
	}
	latency := newHistogram()
	out := Round{Seconds: seconds}
	for _, c := range all {
		out.Ops += c.calls
		latency.Merge(c.latency)
	}
	if out.Ops == 0 {
		return Round{}, fmt.Errorf("%w of %v: give -round more", ErrNothing, w.Length)
	}
	ops := float64(out.Ops)
	out.P50, out.P99 = float64(latency.ValueAtQuantile(50))/1e3, float64(latency.ValueAtQuantile(99))/1e3
	out.CPU = used.cpu.Seconds() * 1e6 / ops
	out.Allocs, out.Bytes = float64(used.allocs)/ops, float64(used.bytes)/ops
	return out, nil
}

// The phases of a round.
const (
	warming int32 = iota
	counting
	over
)

type round struct {
	phase   atomic.Int32
	failed  atomic.Pointer[error]
	running sync.WaitGroup
}

func (r *round) failure() error {
	if err := r.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// wait ends early when the round is lost.
func (r *round) wait(ctx context.Context, d time.Duration) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	end := time.After(d)
	for {
		select {
		case <-end:
			return
		case <-ctx.Done():
			return
		case <-tick.C:
			if r.failed.Load() != nil {
				return
			}
		}
	}
}

type caller struct {
	call    func() error
	calls   int64
	latency *hdrhistogram.Histogram
}

// run takes one reading of the clock for each call: the end of one is the beginning of the next.
func (c *caller) run(r *round) {
	begin := time.Now()
	last := time.Duration(0)
	for r.phase.Load() != over {
		if err := c.call(); err != nil {
			failure := err // or err itself would be on the heap, in every turn of the loop
			r.failed.CompareAndSwap(nil, &failure)
			return
		}
		next := time.Since(begin)
		if r.phase.Load() == counting {
			c.calls++
			if err := c.latency.RecordValue(int64(next - last)); err != nil {
				_ = c.latency.RecordValue(int64(longest))
			}
		}
		last = next
	}
}

const longest = time.Minute

// Two digits, from 100 ns on: 20 kB for each caller.
func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(100, int64(longest), 2) }

var histograms = sync.Pool{New: func() any { return newHistogram() }}

package entsession

import (
	"sync/atomic"
	"time"

	"github.com/entsession/entsession/internal/fault"
)

// budget bounds how often the calls of a store, all together, try again what failed because of the database: while it is away for all,
// attempts that each call makes in good faith would multiply the load at the worst time. Every retry takes one out of a bucket of
// retriesAtOnce; each call that succeeds puts a part of one back, and time a few. A call that finds it empty returns its error at once.
//
// It is a token bucket as gRPC's (proposal A6, "Throttling Retry Attempts and Hedged RPCs"), with Finagle's minimum over time (RetryBudget,
// minRetriesPerSec). As long as the bucket is full, which it is as long as nothing fails, a call reads one number that no one writes.
type budget struct {
	taken   atomic.Int64 // in parts of a retry; 0: the bucket is full
	given   atomic.Int64 // how long after start time last gave some back, in ns
	refused atomic.Uint64
}

const (
	// retriesAtOnce lets a thousand calls that are under way when a database restarts come through, each with all its attempts.
	retriesAtOnce = 1000 * (maxAttempts - 1)
	// A retry is earned by ten calls that succeed (gRPC's usual tokenRatio is 0.1, Finagle's percentCanRetry 0.2), and by every tenth of a
	// second (Finagle's default).
	partsPerRetry = 10
	retryEvery    = time.Second / 10
	// awayForLong is when a call does not try again at all: its first attempt has found out that nobody gets a connection, and that it is
	// no short restart.
	awayForLong = time.Second
)

var start = time.Now()

// earn is for a call that succeeded.
func (b *budget) earn() {
	if b.taken.Load() > 0 {
		b.taken.Add(-1)
	}
}

// take takes a retry, if there is one.
func (b *budget) take() bool {
	now, last := int64(time.Since(start)), b.given.Load()
	if n := (now - last) / int64(retryEvery); n > 0 && b.given.CompareAndSwap(last, last+n*int64(retryEvery)) {
		for {
			taken := b.taken.Load()
			if b.taken.CompareAndSwap(taken, max(0, taken-n*partsPerRetry)) {
				break
			}
		}
	}
	if b.taken.Add(partsPerRetry) <= retriesAtOnce*partsPerRetry {
		return true
	}
	b.taken.Add(-partsPerRetry)
	b.refused.Add(1)
	return false
}

// mayRetry tells whether a call may try again after a failure that another attempt may mend. Only those that are the database's or the
// network's count. Contention and a table that was altered are no sign that the database is in trouble, and end by trying again.
func (s *Store) mayRetry(kind fault.Kind, err error) bool {
	switch kind {
	case fault.Lost, fault.NotSent, fault.ReadOnly:
		if fault.Away(err) >= awayForLong {
			s.budget.refused.Add(1)
			return false
		}
		return s.budget.take()
	}
	return true
}

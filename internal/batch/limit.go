package batch

import (
	"runtime"
	"time"
)

// limit decides how many statements a lane has in flight.
//
// One more in flight lets a call leave sooner, and costs the price of a statement, on this machine and on the database's. To wait for the next
// one to come back costs nothing but time: with n in flight, the n-th part of what a statement takes. So a call should leave at once while that time is
// longer than a statement's price, and wait when it is shorter: n = time / price. It is the bandwidth-delay product by which BBR (Cardwell et al., ACM
// Queue 14/5, 2016) fills a link, and like BBR it takes the shortest time seen lately: what a statement takes when nothing else is in its way. To go by
// the average would be wrong twice over: big batches and a busy database make it longer, and more in flight makes it longer still.
//
// Near the database, where a statement takes some 60 µs, that is one, and the least is what keeps both ends busy; at 1 ms of network or of a disk's
// flush it is the pool. Adaptive limiters that look for the point where a server slows down (Netflix's concurrency-limits and its descendants) answer
// another question: they protect a server from more work, here the work is the same and only shared out differently.
//
// While there are no more calls than connections, each gets one: to make one of them wait for another would leave connections and processors idle.
// Near the database that ends sooner. What calls wait for there is a processor, so that more than a few for each only stand in a queue further down, and
// pay the price for it. And of changes, whose batches wait for one flush of the log, a second batch is worth its price only if the first is well filled.
type limit struct {
	places, least, most int
	few, fill           int
	price               time.Duration

	since   time.Time     // when the window began
	seenNow int           // statements in it
	now     time.Duration // the shortest in this window
	before  time.Duration // and in the one before; 0: none
}

const (
	// A window is long enough to meet a statement that nothing else was in the way of.
	window     = time.Second
	windowSize = 16
)

func newLimit(least, most, few, fill int, price time.Duration) limit {
	most = max(most, 1)
	if least == 0 {
		// One for each processor, and one on its way. More than eight don't help: what they have in common is the database.
		least = min(max(3, runtime.GOMAXPROCS(0)+1), 8)
	}
	least = min(least, most)
	if few == 0 {
		few = most
	}
	return limit{places: least, least: least, most: most, few: min(few, most), fill: fill, price: price}
}

// of is how many may be in flight while that many calls are in the lane. Wary: as if it were far, where batches take long for a reason of their own.
func (l *limit) of(crowd int, wary bool) int {
	switch near := !wary && l.places <= 2*l.least && l.places < l.most; {
	case crowd <= l.few, !near && crowd <= l.most:
		return l.most
	case near && l.fill > 0:
		return min(l.places, max(1, crowd/l.fill))
	}
	return l.places
}

// seen takes in how long a statement took.
func (l *limit) seen(took time.Duration, at time.Time) {
	if l.seenNow == 0 || took < l.now {
		l.now = took
	}
	l.seenNow++
	if l.seenNow < windowSize || at.Sub(l.since) < window {
		if l.before == 0 { // the first window
			l.set(l.now)
		}
		return
	}
	l.set(l.now)
	l.before, l.seenNow, l.since = l.now, 0, at
}

func (l *limit) set(shortest time.Duration) {
	if l.before > 0 {
		shortest = min(shortest, l.before)
	}
	l.places = min(max(int((shortest+l.price-1)/l.price), l.least), l.most)
}

// crowd is the most calls that were in the lane lately. Of the moment when a batch has just been answered, the number of then would tell nothing: its
// callers are about to come again.
type crowd struct {
	since       time.Time
	now, before int
}

const crowdWindow = 10 * time.Millisecond

func (c *crowd) seen(inside int, at time.Time) int {
	if gone := at.Sub(c.since); gone > crowdWindow {
		c.before, c.now, c.since = c.now, 0, at
		if gone > 2*crowdWindow {
			c.before = 0
		}
	}
	c.now = max(c.now, inside)
	return max(c.now, c.before)
}

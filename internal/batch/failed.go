package batch

import "time"

// The database does not know a statement if maxFailed batches one after the other say so. It is tried again after offFor: it may be another one by then.
const (
	maxFailed = 5
	offFor    = time.Minute
)

// waryFor is how long after a batch that failed those in flight keep no others from leaving.
const waryFor = time.Second

// Failed has all calls of a batch that failed sent alone. Unknown: because the database does not know the statement. If that goes on, all calls go
// alone for a while.
func (l *Lane[T]) Failed(calls []*Call[T], unknown bool) {
	for _, c := range calls {
		c.Alone()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stats.Failed++
	l.wary = time.Now().Add(waryFor) // it may have waited for a row that someone else has locked, and the next one may again
	l.failing = true
	if l.failed++; !unknown {
		l.failed = 0
	} else if l.failed >= maxFailed {
		l.failed, l.off = 0, time.Now().Add(offFor)
	}
}

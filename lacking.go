package entsession

import (
	"sync"
	"time"
)

// lacking remembers the columns that the table was found to lack. It may get them, so it is looked at again, but not for every call of an
// application that has a name wrong.
type lacking struct {
	mu   sync.Mutex
	seen map[string]time.Time
}

// lookAgain is how long a column stays unknown without another look.
const lookAgain = time.Second

func (l *lacking) mayBeNew(column string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Since(l.seen[column]) > lookAgain
}

func (l *lacking) known(column string, known bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.seen == nil || len(l.seen) > 100 {
		l.seen = map[string]time.Time{}
	}
	if known {
		delete(l.seen, column)
		return
	}
	l.seen[column] = time.Now()
}

package batch

import "time"

// slots are the places that lone calls have. A batch does not wait for a row that someone else has locked, but a lone call does, and would keep its place
// from all others.
type slots []slot

type slot struct {
	since time.Time // zero: it is free
	stuck bool      // it does not count any more
}

// take gives a free one.
func (s slots) take(now time.Time) int {
	for i := range s {
		if s[i].since.IsZero() {
			s[i].since = now
			return i
		}
	}
	return -1 // more are stuck than there are connections: this one counts until it is back
}

// giveBack takes a lone call out of the lane. The lane is locked.
func (l *Lane[T]) giveBack(i int) {
	l.inside--
	if i < 0 {
		l.busy--
		return
	}
	if !l.slots[i].stuck {
		l.busy--
	}
	l.slots[i] = slot{}
}

// look has the slots looked at in a while, if calls wait. The lane is locked.
func (l *Lane[T]) look() {
	if l.cfg.Patience <= 0 || l.looking || len(l.queue) == l.gone {
		return
	}
	l.looking = true
	if l.looks == nil {
		l.looks = time.AfterFunc(l.cfg.Patience, l.unstick)
	} else {
		l.looks.Reset(l.cfg.Patience)
	}
}

// unstick lets others have the places of those that are stuck.
func (l *Lane[T]) unstick() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.looking = false
	now := time.Now()
	for i := range l.slots {
		if s := &l.slots[i]; !s.since.IsZero() && !s.stuck && now.Sub(s.since) >= l.cfg.Patience {
			s.stuck = true
			l.busy--
			l.start(now)
		}
	}
	l.look()
}

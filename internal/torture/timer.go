package torture

import (
	"sync"
	"time"
)

// timer measures what the machine, and not the store, adds to each wait: how late this process's timers come, and how long its threads
// wait for a processor. A process that was stopped was late by as long.
type timer struct {
	ended, gone chan struct{}

	mu     sync.Mutex
	last   int64 // when it last came
	seen   []lateness
	delays []delay
}

type lateness struct {
	at   int64
	late time.Duration
}

// delay is how long threads had waited until then.
type delay struct {
	at    int64
	total time.Duration
}

const (
	timerPeriod = 5 * time.Millisecond
	timerMemory = 30 * time.Second
	delayPeriod = 50 * time.Millisecond
)

func startTimer() *timer {
	t := &timer{ended: make(chan struct{}), gone: make(chan struct{}), last: now()}
	go t.run()
	return t
}

func (t *timer) run() {
	defer close(t.gone)
	for {
		select {
		case <-time.After(timerPeriod):
		case <-t.ended:
			return
		}
		t.mu.Lock()
		at := now()
		if late := time.Duration(at-t.last) - timerPeriod; late > time.Millisecond {
			t.seen = append(t.seen, lateness{at, late})
		}
		for len(t.seen) > 0 && at-t.seen[0].at > int64(timerMemory) {
			t.seen = t.seen[1:]
		}
		t.last = at
		due := len(t.delays) == 0 || at-t.delays[len(t.delays)-1].at > int64(delayPeriod)
		t.mu.Unlock()
		if due {
			t.delayed(at)
		}
	}
}

func (t *timer) delayed(at int64) {
	d := delay{at, runDelay()}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.delays = append(t.delays, d)
	for at-t.delays[0].at > int64(timerMemory) {
		t.delays = t.delays[1:]
	}
}

func (t *timer) stop() {
	close(t.ended)
	<-t.gone
}

// late is the longest that a timer came late since then, the one that has yet to come included.
func (t *timer) late(since int64) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	worst := time.Duration(now()-t.last) - timerPeriod
	for i := len(t.seen) - 1; i >= 0 && t.seen[i].at >= since; i-- {
		worst = max(worst, t.seen[i].late)
	}
	return max(worst, 0)
}

// starved is how long the threads have waited for a processor since then.
func (t *timer) starved(since int64) time.Duration {
	until := runDelay()
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := len(t.delays) - 1; i >= 0; i-- {
		if t.delays[i].at <= since {
			return max(0, until-t.delays[i].total)
		}
	}
	return 0
}

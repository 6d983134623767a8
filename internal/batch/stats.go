package batch

import "time"

// Stats counts what a lane did. Read it with Lane.Stats.
type Stats struct {
	Alone   uint64        // calls that went alone at once
	Batched uint64        // calls that went in a batch
	Batches uint64        // batches
	Largest int           // calls of the largest batch
	Failed  uint64        // batches whose calls then went alone
	Refused uint64        // calls refused because the queue was full
	Left    uint64        // calls whose context ended while they waited
	Wait    time.Duration // of batched calls, until their batch was sent
	Service time.Duration // of statements, lone ones and batches

	Queue, MostQueued int // calls that wait, now and at most
	InFlight, Places  int // batches and lone calls in flight, and how many may be
}

func (s *Stats) waiting(n int) { s.MostQueued = max(s.MostQueued, n) }

func (s *Stats) batch(calls int, took time.Duration) {
	s.Batches++
	s.Batched += uint64(calls)
	s.Largest = max(s.Largest, calls)
	s.Service += took
}

// Stats of now.
func (l *Lane[T]) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.stats
	s.Queue, s.InFlight, s.Places = len(l.queue)-l.gone, l.busy, l.limit.places
	return s
}

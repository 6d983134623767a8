package entsession

import (
	"database/sql"
	"slices"
	"strings"
	"time"

	"github.com/entsession/entsession/internal/batch"
	"github.com/entsession/entsession/internal/wire"
)

// Stats is what a store has done since it was opened.
type Stats struct {
	// Lanes are the queues in which calls of one kind wait for a place in a batch. A kind appears after its first call.
	Lanes []LaneStats
	// Retries counts statements that were sent again after a lost connection, a deadlock and the like, and RetriesRefused errors that were
	// returned without trying again, because the database was away for long or all retries were spent: see docs/faults.md.
	Retries, RetriesRefused uint64
	// Hooks is what became of the events of Config.Hooks.
	Hooks HookStats
	// Purge is what became of this store's purges.
	Purge PurgeStats
	// Pool is the pool of connections: what database/sql says of it. Zero for a driver whose pool is not known.
	Pool sql.DBStats
}

// PurgeStats tells of purges: those that run by themselves, and those that Purge was asked for.
type PurgeStats struct {
	// Runs counts purges that have ended, and Failed those of them that ended in an error. One that used up its time, or found another process purging, did
	// not fail.
	Runs, Failed uint64
	// Rows is how many rows went.
	Rows uint64
	// Last is when one last ended without an error; zero if none did.
	Last time.Time
}

// LaneStats is what the calls of one kind did.
type LaneStats struct {
	// Name is load, check (the look of a Touch, of a Save of an unchanged session and of a refused one), save, create, touch or
	// delete; on SQLite, where changes of every kind share a transaction, load, check and write.
	Name string
	// Alone counts calls that were sent at once, as a statement of their own, and Batched those that waited for a place in a batch.
	Alone, Batched uint64
	// Batches counts batches, Failed those of them whose calls were sent alone after all, and Largest is the most calls in one.
	Batches, Failed uint64
	Largest         int
	// Refused counts calls that were ErrOverloaded, Left those whose context ended while they waited.
	Refused, Left uint64
	// Wait is how long batched calls waited altogether until their batch was sent, Service how long statements took, the wait for a connection
	// included.
	Wait, Service time.Duration
	// Queue is how many calls wait now, MostQueued how many did at most.
	Queue, MostQueued int
	// InFlight is how many statements are under way now, Places how many the lane would send at a time, as it last decided.
	InFlight, Places int
}

// Stats tells what the store has done so far, and where calls wait.
func (s *Store) Stats() Stats {
	out := Stats{Retries: s.retries.Load(), RetriesRefused: s.budget.refused.Load(), Hooks: s.events.stats()}
	if p, ok := s.db.(*wire.Pool); ok {
		out.Pool = p.DB().Stats()
	}
	s.purger.mu.Lock()
	out.Purge = s.purger.stats
	s.purger.mu.Unlock()
	s.lanesMu.Lock()
	defer s.lanesMu.Unlock()
	out.Lanes = slices.Clone(s.retired)
	if l := s.lanes.Load(); l != nil {
		out.Lanes = merge(append(out.Lanes, l.stats()...))
	}
	return out
}

// stats lists the lanes, those of one kind as one.
func (l *lanes) stats() []LaneStats {
	if l.text == nil {
		return nil
	}
	out := []LaneStats{laneStats("load", l.load.Stats()), laneStats("check", l.check.Stats())}
	l.mu.RLock()
	defer l.mu.RUnlock()
	for name, lane := range l.writes() {
		kind, _, _ := strings.Cut(name, " ")
		out = append(out, laneStats(kind, lane.Stats()))
	}
	return merge(out)
}

func laneStats(name string, s batch.Stats) LaneStats {
	return LaneStats{
		Name: name, Alone: s.Alone, Batched: s.Batched, Batches: s.Batches, Failed: s.Failed, Largest: s.Largest, Refused: s.Refused, Left: s.Left,
		Wait: s.Wait, Service: s.Service, Queue: s.Queue, MostQueued: s.MostQueued, InFlight: s.InFlight, Places: s.Places,
	}
}

// merge adds up those of one name.
func merge(all []LaneStats) []LaneStats {
	slices.SortStableFunc(all, func(a, b LaneStats) int { return strings.Compare(a.Name, b.Name) })
	var out []LaneStats
	for _, s := range all {
		if len(out) == 0 || out[len(out)-1].Name != s.Name {
			out = append(out, s)
			continue
		}
		t := &out[len(out)-1]
		t.Alone += s.Alone
		t.Batched += s.Batched
		t.Batches += s.Batches
		t.Failed += s.Failed
		t.Largest = max(t.Largest, s.Largest)
		t.Refused += s.Refused
		t.Left += s.Left
		t.Wait += s.Wait
		t.Service += s.Service
		t.Queue += s.Queue
		t.MostQueued = max(t.MostQueued, s.MostQueued)
		t.InFlight += s.InFlight
		t.Places += s.Places
	}
	return out
}

func (s *Store) closeLanes() {
	s.lanesMu.Lock()
	defer s.lanesMu.Unlock()
	if l := s.lanes.Load(); l != nil {
		l.close()
	}
}

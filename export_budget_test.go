package entsession

import "time"

// SpendRetries leaves a store that many retries, and none to come by time alone.
func SpendRetries(s *Store, left int) {
	s.budget.given.Store(int64(time.Since(start) + time.Hour))
	s.budget.taken.Store(int64(retriesAtOnce-left) * partsPerRetry)
}

// TimeGivesRetries is for a store that has spent its retries that long ago.
func TimeGivesRetries(s *Store, ago time.Duration) {
	s.budget.given.Store(int64(time.Since(start) - ago))
}

// RetriesLeft is what a store has not spent.
func RetriesLeft(s *Store) int { return int(retriesAtOnce - s.budget.taken.Load()/partsPerRetry) }

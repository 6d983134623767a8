package entsession

import "time"

// Together has a new store send every call through a batch, be it the only one in it.
func Together(s *Store) { s.together = true }

// HooksMayTake is how long Close waits for them.
func HooksMayTake(s *Store, d time.Duration) { s.events.patience = d }

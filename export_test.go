package entsession

// Together has a new store send every call through a batch, be it the only one in it.
func Together(s *Store) { s.together = true }

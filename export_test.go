package entsession

import (
	"context"
	"database/sql/driver"
	"time"

	"github.com/entsession/entsession/internal/batch"
)

// Together has a new store send every call through a batch, be it the only one in it.
func Together(s *Store) { s.together, s.pipelined = true, 0 }

// Pipelined does too, and the loads of a batch are a statement each, be they ever so many.
func Pipelined(s *Store) { s.together, s.pipelined = true, maxCalls }

// HooksMayTake is how long Close waits for them.
func HooksMayTake(s *Store, d time.Duration) { s.events.patience = d }

// LoadTogether loads sessions in one batch; nil for those that are not live. each: as a statement each.
func LoadTogether(ctx context.Context, s *Store, ids ...string) (found []*Session, each bool, err error) {
	l := s.lanesFor(s.set.Load())
	var calls []*batch.Call[reading]
	for _, id := range ids {
		r, _ := s.lookup(id)
		calls = append(calls, &batch.Call[reading]{Val: reading{ref: r}})
	}
	sorted, keys := byKey(calls)
	if err = l.fetchEach(ctx, sorted, keys); err == driver.ErrSkip {
		err = l.runLoad(ctx, nil, calls)
	} else {
		each = true
	}
	for _, c := range calls {
		found = append(found, c.Val.sess)
	}
	return found, each, err
}

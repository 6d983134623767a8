// Package found remembers which sessions were found, for adapters to managers that load a session and commit it later without a word about where
// it is from. It tells a session that was there before, and may have ended since, from one that is new.
package found

import (
	"context"
	"hash/maphash"
	"slices"
	"sync"
	"time"
)

// Retention is how long an id is remembered at least, unless Most others are found in that time.
const (
	Retention = 10 * time.Minute
	Most      = 1 << 20 // ids in a generation; about 20 bytes each
)

// Found is safe for concurrent use.
type Found struct {
	seed maphash.Seed

	mu            sync.Mutex
	requests      map[request]any
	underWay      map[uint64][]<-chan struct{} // those requests, by what they have found
	recent, older map[uint64]struct{}
	since         time.Time
}

// request is one that is under way, and an id. The derived contexts of a request mostly have its own channel.
type request struct {
	done <-chan struct{}
	id   uint64
}

// New remembers nothing yet.
func New() *Found {
	return &Found{seed: maphash.MakeSeed(), requests: map[request]any{}, underWay: map[uint64][]<-chan struct{}{}, recent: map[uint64]struct{}{}, since: time.Now()}
}

// Add remembers an id. If the context is that of a request, which ends with it, it also remembers what was loaded, until then.
func (f *Found) Add(ctx context.Context, id string, loaded any, ofRequest bool) {
	sum := maphash.String(f.seed, id)
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := time.Now(); now.Sub(f.since) >= Retention || len(f.recent) >= Most {
		f.recent, f.older, f.since = map[uint64]struct{}{}, f.recent, now
	}
	f.recent[sum] = struct{}{}
	if !ofRequest || ctx.Done() == nil {
		return
	}
	r := request{ctx.Done(), sum}
	_, tracked := f.requests[r]
	f.requests[r] = loaded
	if !tracked {
		f.underWay[sum] = append(f.underWay[sum], r.done)
		context.AfterFunc(ctx, func() { f.over(r) })
	}
}

func (f *Found) over(r request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.requests, r)
	others := slices.DeleteFunc(f.underWay[r.id], func(done <-chan struct{}) bool { return done == r.done })
	if f.underWay[r.id] = others; len(others) == 0 {
		delete(f.underWay, r.id)
	}
}

// Get tells what the context's request has loaded under an id, if it is known, and whether the id was found by anyone of late.
//
// The context of a request that comes straight from its server is that request's own: then it is enough to ask whether a request under way has found the id (this
// one, under another context). One with a deadline, or that never ends, may have been made of a request's that is over.
func (f *Found) Get(ctx context.Context, id string, ofRequest bool) (loaded any, known bool) {
	sum := maphash.String(f.seed, id)
	f.mu.Lock()
	defer f.mu.Unlock()
	if loaded, ok := f.requests[request{ctx.Done(), sum}]; ok {
		return loaded, true
	}
	if _, bounded := ctx.Deadline(); ofRequest && !bounded && ctx.Done() != nil {
		return nil, slices.ContainsFunc(f.underWay[sum], func(done <-chan struct{}) bool {
			select {
			case <-done:
				return false
			default:
				return true
			}
		})
	}
	_, known = f.recent[sum]
	if !known {
		_, known = f.older[sum]
	}
	return nil, known
}

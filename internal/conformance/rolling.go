package conformance

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
)

// testRolling: a rolling deployment. Processes of the old version, which know nothing of two new columns, are at work when a migration adds them; then
// those of the new version join, and old ones are started anew; they all serve the same sessions; and at the end the old ones leave. Each version's
// changes stay: no error, no lost payload, no column that goes back to its default or NULL.
func testRolling(t *testing.T, e *env) {
	if e.another() || e.mode.Name == "alone" { // some of the stores send their calls alone in every mode
		return
	}
	r := &rolling{env: e}
	r.old = append(r.old, e.store(), e.byDefault(func(c *entsession.Config) { c.DisableBatching = true }))
	for _, store := range r.old { // they have looked at the table
		e.create(store, "0")
	}
	e.admin.SetMaxOpenConns(1)
	shared := e.create(r.old[0], "0")
	const sessions = 6
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range sessions {
		wg.Go(func() { r.serve(stop) })
	}
	for range 3 { // all of them in one session
		wg.Go(func() { r.share(stop, shared.ID()) })
	}
	more := func(n int64) {
		before := r.done.Load()
		require.Eventually(t, func() bool { return t.Failed() || r.done.Load() > before+n }, waitFor, tick)
	}
	func() {
		defer wg.Wait()
		defer close(stop)
		more(100)
		e.exec("ALTER TABLE sessions ADD COLUMN device varchar(40) NULL")
		e.exec("ALTER TABLE sessions ADD COLUMN trust bigint NOT NULL DEFAULT 7")
		more(50)
		restarted := e.open()
		r.mu.Lock()
		r.new = append(r.new, e.open(), e.byDefault(func(c *entsession.Config) { c.DisableBatching = true }))
		r.old = append(r.old, restarted)
		r.mu.Unlock()
		more(400)
		r.mu.Lock()
		r.old = nil // the deployment is through
		r.mu.Unlock()
		more(50)
	}()
	got := got0(t, r.new[0], shared.ID())
	require.Equal(t, fmt.Sprint(r.shared.Load()), string(got.Data), "every Update of either version is applied once")
	trust, err := entsession.Get[int64](got, "trust")
	require.NoError(t, err)
	require.Equal(t, 7+r.trust.Load(), trust)
	t.Logf("%d calls, %d of the new version", r.done.Load(), r.byNew.Load())
	require.NotZero(t, r.byNew.Load())
}

// rolling is the processes that run.
type rolling struct {
	*env
	mu            sync.Mutex
	old, new      []*entsession.Store
	done, byNew   atomic.Int64
	shared, trust atomic.Int64 // how often the shared session was updated, and its column
}

// any gives one of the processes that serve now, as a load balancer does.
func (r *rolling) any() (store *entsession.Store, isNew bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := rand.IntN(len(r.old) + len(r.new))
	if n < len(r.old) {
		return r.old[n], false
	}
	return r.new[n-len(r.old)], true
}

// serve serves one session after the other, each request by another process, and checks all of the session at each.
func (r *rolling) serve(stop <-chan struct{}) {
	for {
		var id string
		n, device, trust := 0, "", int64(7) // what the session holds
		for step := range 12 {
			store, isNew := r.any()
			what, err := r.request(store, isNew, step, &id, &n, &device, &trust)
			if err != nil {
				r.Errorf("%s by the new version: %t: %v", what, isNew, err)
				return
			}
			r.done.Add(1)
			if isNew {
				r.byNew.Add(1)
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	}
}

func (r *rolling) request(store *entsession.Store, isNew bool, step int, id *string, n *int, device *string, trust *int64) (string, error) {
	var named []entsession.Column
	if isNew && rand.IntN(2) == 0 {
		*device, *trust = "phone "+strconv.Itoa(step), int64(step)
		named = []entsession.Column{entsession.Set("device", *device), entsession.Set("trust", *trust)}
	}
	if step == 0 {
		s, err := store.Create(ctx, []byte("0"), named...)
		if err == nil {
			*id = s.ID()
		}
		return "create", err
	}
	s, err := store.Load(ctx, *id)
	if err != nil {
		return "load", err
	}
	if string(s.Data) != strconv.Itoa(*n) {
		return "load", fmt.Errorf("the payload is %s, not %d", s.Data, *n)
	}
	if len(named) == 0 { // else they are about to change
		if got, ok := s.Get("device"); ok && fmt.Sprint(got) != *device && (got != nil || *device != "") {
			return "load", fmt.Errorf("the device is %v, not %q", got, *device)
		}
		if got, ok := s.Get("trust"); ok && got != *trust {
			return "load", fmt.Errorf("the trust is %v, not %d", got, *trust)
		} else if isNew && !ok && *device != "" {
			return "load", errors.New("the new version does not see its column")
		}
	}
	*n++
	s.Data = strconv.AppendInt(nil, int64(*n), 10)
	switch rand.IntN(3) {
	case 0:
		return "save", store.Save(ctx, s, named...)
	case 1:
		_, err = store.Update(ctx, *id, func(s *entsession.Session) error {
			s.Data = strconv.AppendInt(nil, int64(*n), 10)
			s.Set(named...)
			return nil
		})
		return "update", err
	}
	if err := store.Save(ctx, s); err != nil {
		return "save before rotate", err
	}
	s, err = store.Rotate(ctx, *id, named...)
	if err != nil {
		return "rotate", err
	}
	if _, err := store.Load(ctx, *id); !errors.Is(err, entsession.ErrNotFound) {
		return "rotate", fmt.Errorf("the old id: %v", err)
	}
	*id = s.ID()
	return "rotate", nil
}

// share updates a session that others update too.
func (r *rolling) share(stop <-chan struct{}, id string) {
	for {
		store, isNew := r.any()
		_, err := store.Update(ctx, id, func(s *entsession.Session) error {
			if err := increment(s); err != nil || !isNew {
				return err
			}
			trust, err := entsession.Get[int64](s, "trust")
			s.Set(entsession.Set("trust", trust+1))
			return err
		})
		if err != nil {
			r.Errorf("update of the shared session by the new version: %t: %v", isNew, err)
			return
		}
		r.shared.Add(1)
		if isNew {
			r.trust.Add(1)
		}
		r.done.Add(1)
		select {
		case <-stop:
			return
		default:
		}
	}
}

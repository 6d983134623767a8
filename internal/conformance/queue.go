package conformance

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
)

// hold locks a session's row until the function returned is called.
func (e *env) hold(s *entsession.Session) (release func()) {
	e.Helper()
	tx, err := e.admin.BeginTx(ctx, nil)
	require.NoError(e, err)
	_, err = tx.ExecContext(ctx, e.sql("UPDATE sessions SET timeout = timeout WHERE id = $1"), s.Key())
	require.NoError(e, err)
	var once sync.Once
	release = func() { once.Do(func() { require.NoError(e, tx.Rollback()) }) }
	e.Cleanup(release)
	return release
}

// A row that someone else has locked holds up those who write to it, and nobody who happens to travel with them.
func testLockedRow(t *testing.T, e *env) {
	store := e.store()
	const many = 24
	var sessions []*entsession.Session
	for i := range many {
		sessions = append(sessions, e.create(store, fmt.Sprint(i)))
	}
	locked := []*entsession.Session{sessions[many/2], sessions[many/3], sessions[many-1]} // more than go alone of so many
	for name, change := range map[string]func(*entsession.Session) error{
		"Save":   func(s *entsession.Session) error { s.Data = append(s.Data, '+'); return store.Save(ctx, s) },
		"Touch":  func(s *entsession.Session) error { return store.Touch(ctx, s.ID()) },
		"Delete": func(s *entsession.Session) error { return store.Delete(ctx, s.ID()) },
	} {
		if name == "Delete" {
			continue
		}
		lockedChange(t, e, store, name, sessions, locked, change)
	}
	lockedChange(t, e, store, "Delete", sessions, locked, func(s *entsession.Session) error { return store.Delete(ctx, s.ID()) })
	for _, s := range sessions {
		require.False(t, e.live(store, s.ID()))
	}
}

func lockedChange(t *testing.T, e *env, store *entsession.Store, name string, sessions []*entsession.Session, locked []*entsession.Session, change func(*entsession.Session) error) {
	e.exec("UPDATE sessions SET timeout = {now} + 600") // a touch is due
	var release []func()
	for _, s := range locked {
		release = append(release, e.hold(s))
	}
	waits := make(chan error, len(locked))
	free := make(chan error, len(sessions))
	for _, s := range locked {
		go func() { waits <- change(s) }()
	}
	if e.mode.Name == "default" { // each has a place of its own, or is the next to have one
		require.Eventually(t, func() bool {
			n := 0
			for _, l := range store.Stats().Lanes {
				n += l.InFlight + l.Queue
			}
			return n == len(locked)
		}, waitFor, tick)
	}
	for _, s := range sessions {
		if !slices.Contains(locked, s) {
			go func() { free <- change(s) }()
		}
	}
	for range len(sessions) - len(locked) {
		select {
		case err := <-free:
			require.NoError(t, err, name)
		case <-time.After(waitFor):
			t.Fatal(name + ": they wait for someone else's row")
		}
	}
	select {
	case err := <-waits:
		t.Fatal(name+": the row is locked, and it has not waited", err)
	default:
	}
	for _, f := range release {
		f()
		require.NoError(t, <-waits, name)
	}
}

func testOverloaded(t *testing.T, e *env) {
	store := e.store(func(c *entsession.Config) { c.MaxOpenConns, c.MaxQueue = 1, 2 })
	if e.config().DisableBatching {
		return // nobody waits in a queue of ours
	}
	var sessions []*entsession.Session
	for range 5 {
		sessions = append(sessions, e.create(store, "x"))
	}
	tx, err := store.Client().Tx(ctx) // has the one connection
	require.NoError(t, err)
	errs := make(chan error, 5)
	save := func(s *entsession.Session) {
		s.Data = []byte("y")
		errs <- store.Save(ctx, s)
	}
	inFlight := func() (n, queue int) {
		for _, l := range store.Stats().Lanes {
			n, queue = n+l.InFlight, queue+l.Queue
		}
		return n, queue
	}
	require.Eventually(t, func() bool { n, _ := inFlight(); return n == 0 }, waitFor, tick)
	go save(sessions[0])
	require.Eventually(t, func() bool { n, q := inFlight(); return n == 1 && q == 0 }, waitFor, tick, "it is on its way, and takes no one along")
	gone, cancel := context.WithCancel(ctx)
	left := make(chan error, 1)
	go func() { sessions[1].Data = []byte("y"); left <- store.Save(gone, sessions[1]) }()
	go save(sessions[2])
	if !assert.Eventually(t, func() bool { _, q := inFlight(); return q == 2 }, waitFor, tick) {
		t.Fatalf("%+v", store.Stats())
	}
	sessions[3].Data = []byte("y")
	require.Equal(t, entsession.ErrOverloaded, store.Save(ctx, sessions[3]))
	cancel()
	require.ErrorIs(t, <-left, context.Canceled, "who waits may leave")
	go save(sessions[4])
	require.Eventually(t, func() bool { _, q := inFlight(); return q == 2 }, waitFor, tick, "and makes room")
	require.NoError(t, tx.Rollback())
	for range 3 {
		require.NoError(t, <-errs)
	}
	require.NoError(t, store.Save(ctx, sessions[3]), "nothing is wrong with it")
	require.Equal(t, "x", e.text("SELECT data FROM sessions WHERE id = $1", sessions[1].Key()), "who left before it was sent has changed nothing")
}

func testStats(t *testing.T, e *env) {
	store := e.store()
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			s, err := store.Create(ctx, []byte("x"))
			if err == nil {
				_, err = store.Load(ctx, s.ID())
			}
			if err == nil {
				err = store.Delete(ctx, s.ID())
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	require.Eventually(t, func() bool {
		return !slices.ContainsFunc(store.Stats().Lanes, func(l entsession.LaneStats) bool { return l.InFlight > 0 })
	}, waitFor, tick)
	stats := store.Stats()
	require.Positive(t, stats.Pool.OpenConnections)
	calls := map[string]uint64{}
	for _, l := range stats.Lanes {
		calls[l.Name] = l.Alone + l.Batched
		require.Zero(t, l.Queue)
		if l.Alone+l.Batched > 0 {
			require.Positive(t, l.Service)
		}
	}
	if e.config().DisableBatching {
		require.Empty(t, stats.Lanes)
		return
	}
	require.EqualValues(t, 20, calls["load"])
	if _, ok := calls["write"]; ok {
		require.EqualValues(t, 40, calls["write"], "SQLite has one lane for all changes")
	} else {
		require.EqualValues(t, 20, calls["create"])
		require.EqualValues(t, 20, calls["delete"])
	}
}

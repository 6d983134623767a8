package conformance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/internal/dbtest"
	"github.com/entsession/entsession/internal/fault"
)

// testTogetherCancel: whose context ends while everyone waits hears of it at once, and the others get what they came for.
func testTogetherCancel(t *testing.T, e *env) {
	store := e.store()
	sessions := e.crowd(store, crowd+4)
	e.exec("UPDATE sessions SET timeout = {now} + 5") // a Touch is due
	holder, err := e.admin.Conn(ctx)
	require.NoError(t, err)
	defer holder.Close()
	begin := "BEGIN"
	if e.db.Kind.Dialect == dbtest.SQLite {
		begin = "BEGIN IMMEDIATE"
	}
	for _, query := range []string{begin, "UPDATE sessions SET timeout = timeout + 300"} { // every row
		_, err = holder.ExecContext(ctx, query)
		require.NoError(t, err)
	}

	others := make(chan error, crowd)
	for _, s := range sessions[:crowd] {
		go func() {
			s.Data = []byte("saved")
			others <- store.Save(ctx, s)
		}()
	}
	require.Eventually(t, func() bool { return store.Stats().Pool.InUse > 0 }, waitFor, tick)
	brief, cancel := context.WithCancel(ctx)
	gone := sessions[crowd:]
	calls := map[string]func() error{
		"Save":   func() error { return store.Save(brief, gone[0]) },
		"Touch":  func() error { return store.Touch(brief, gone[1].ID()) },
		"Delete": func() error { return store.Delete(brief, gone[2].ID()) },
		"Update": func() error { _, err := store.Update(brief, gone[3].ID(), increment); return err },
	}
	type answer struct {
		what string
		err  error
	}
	answers, begun := make(chan answer, len(calls)), make(chan bool)
	for what, call := range calls {
		go func() {
			begun <- true
			answers <- answer{what, call()}
		}()
	}
	for range calls {
		<-begun
	}
	cancel()
	for range calls {
		select {
		case a := <-answers:
			require.ErrorIs(t, a.err, context.Canceled, a.what)
		case <-time.After(waitFor):
			t.Error("it waits on though its context has ended")
		}
	}
	require.Empty(t, others, "the row is still locked")
	_, err = holder.ExecContext(ctx, "ROLLBACK")
	require.NoError(t, err)
	for range crowd {
		require.NoError(t, <-others)
	}
	require.EqualValues(t, crowd, e.int("SELECT count(*) FROM sessions WHERE data = 'saved'"))
}

// testTogetherDelete: a Load that begins after Delete has returned finds nothing, however many loads of that id are under way.
func testTogetherDelete(t *testing.T, e *env) {
	store, other := e.store(), e.open()
	for round := range 12 {
		s := e.create(store, "x")
		var deleted atomic.Bool
		var loading, ended sync.WaitGroup
		const callers = 32
		loading.Add(callers)
		for i := range callers {
			from := []*entsession.Store{store, other}[i/4%2]
			ended.Go(func() {
				begun := sync.OnceFunc(loading.Done)
				defer begun()
				for {
					after := deleted.Load()
					_, err := from.Load(ctx, s.ID())
					begun()
					switch {
					case err != nil && !errors.Is(err, entsession.ErrNotFound):
						t.Errorf("round %d: %v", round, err)
						return
					case after:
						if err == nil {
							t.Errorf("round %d: loaded after Delete had returned", round)
						}
						return
					}
				}
			})
		}
		loading.Wait()
		err := store.Delete(ctx, s.ID())
		deleted.Store(true)
		ended.Wait()
		require.NoError(t, err)
		require.False(t, t.Failed())
	}
}

// testTogetherStores: two processes work on the same sessions, one from the first to the last and the other the other way round. Neither
// meets a deadlock.
func testTogetherStores(t *testing.T, e *env) {
	renewing := func(c *entsession.Config) { c.TouchInterval = -1 }
	stores := []*entsession.Store{e.store(renewing), e.open(renewing)}
	e.admin.SetMaxOpenConns(4)
	sessions := e.crowd(stores[0], 12)
	var saved, touched atomic.Int64
	start := make(chan struct{})
	var wg sync.WaitGroup
	for caller := range crowd {
		store := stores[caller%2]
		order := slices.Clone(sessions)
		if caller%2 == 1 {
			slices.Reverse(order)
		}
		call := func(i int, s *entsession.Session) error {
			switch (caller/2 + i) % 4 {
			case 0, 1:
				got, err := store.Load(ctx, s.ID())
				if err != nil {
					return err
				}
				if err = store.Save(ctx, got); err == nil {
					saved.Add(1)
				}
				return err
			case 2: // what the last second has renewed is not due
				_, err := e.admin.ExecContext(ctx, e.sql("UPDATE sessions SET timeout = {now} + 5 WHERE id = $1 AND timeout > 0"), s.Key())
				if err != nil && fault.Of(err) != fault.Contention {
					return fmt.Errorf("making it due: %w", err)
				}
				if err = store.Touch(ctx, s.ID()); err == nil {
					touched.Add(1)
				}
				return err
			}
			if caller/2 == 15 && s == sessions[i] && i%4 == 0 {
				return store.Delete(ctx, s.ID())
			}
			return store.Touch(ctx, s.ID())
		}
		wg.Go(func() {
			<-start
			for i, s := range order {
				if err := call(i, s); err != nil && !errors.Is(err, entsession.ErrConflict) && !errors.Is(err, entsession.ErrNotFound) {
					t.Errorf("caller %d, call %d: %v", caller, i, err)
				}
			}
		})
	}
	close(start)
	wg.Wait()
	require.NotZero(t, saved.Load())
	require.NotZero(t, touched.Load())
}

// testTogetherClose: whoever is under way when the store is closed is answered, and an answer without an error is true.
func testTogetherClose(t *testing.T, e *env) {
	const callers, late = 256, 56 // the late ones come with the end
	look := e.store()
	for round := range 3 {
		e.exec("DELETE FROM sessions")
		sessions := e.crowd(look, callers/2)
		store := e.open()
		created := make([]*entsession.Session, callers)
		answered, closing := make(chan struct{}, callers), make(chan struct{})
		errs := make(chan []error, 1)
		go func() {
			errs <- together(callers, func(i int) (err error) {
				if i >= callers-late {
					<-closing
				}
				defer func() { answered <- struct{}{} }()
				s := sessions[i/2]
				switch i % 8 {
				case 0, 4:
					s.Data = fmt.Appendf(nil, "saved %d", i)
					return store.Save(ctx, s)
				case 2:
					return store.Delete(ctx, s.ID())
				case 6:
					return store.Touch(ctx, s.ID())
				case 1, 5:
					created[i], err = store.Create(ctx, fmt.Appendf(nil, "created %d", i))
					return err
				case 3:
					_, err = store.Update(ctx, s.ID(), increment)
					return err
				}
				_, err = store.Load(ctx, s.ID())
				return err
			})
		}()
		for range 1 + 40*round {
			<-answered
		}
		close(closing)
		require.NoError(t, store.Close())
		select {
		case errs := <-errs:
			table := e.table("data")
			data := func(s *entsession.Session) string { return table[s.Key()][0] }
			for i, err := range errs {
				if err != nil {
					if !errors.Is(err, entsession.ErrClosed) && !errors.Is(err, entsession.ErrNotFound) && !errors.Is(err, entsession.ErrConflict) {
						t.Errorf("call %d: %v", i, err)
					}
					continue
				}
				switch i % 8 {
				case 0, 4:
					require.Equal(t, fmt.Sprintf("saved %d", i), data(sessions[i/2]))
				case 2:
					require.False(t, e.live(look, sessions[i/2].ID()))
				case 1, 5:
					require.Equal(t, fmt.Sprintf("created %d", i), data(created[i]))
				}
			}
		case <-time.After(waitFor):
			require.FailNow(t, "a call was never answered")
		}
	}
}

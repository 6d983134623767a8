package batch

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestErrorsAndPanics(t *testing.T) {
	t.Parallel()
	failed := errors.New("failed")
	var panics atomic.Bool
	g := newGate(nil)
	run := g.cfg.Run
	g.cfg.Run = func(ctx context.Context, calls []*Call[int]) error {
		err := run(ctx, calls)
		if panics.Load() {
			panic("oh")
		}
		return err
	}
	for _, want := range []string{"failed", "outcome unknown: panic: oh"} {
		panics.Store(want != "failed")
		place := g.hold(t)
		a, b := g.call(ctx, 1, 0), g.call(ctx, 2, 0)
		g.Leave(place, true)
		<-g.given
		g.letGo <- failed
		require.EqualError(t, (<-a).own, want)
		require.EqualError(t, (<-b).own, want)
	}
	idle(t, g)
}

func TestOwnAnswers(t *testing.T) {
	t.Parallel()
	own := errors.New("of this one")
	var g *gate
	round := 0
	g = newGate(func(c *Config[int]) {
		c.Run = func(_ context.Context, calls []*Call[int]) error {
			round++
			for _, c := range calls {
				switch {
				case c.Val == 1:
					c.Err = own
				case c.Val == 2:
					c.Alone()
				case c.Val == 3 && round == 1:
					c.Again()
				case c.Val == 4 && round == 1:
					c.Again()
				}
			}
			return nil
		}
	})
	place := g.hold(t)
	outs := make([]<-chan outcome, 5)
	for v := range outs {
		outs[v] = g.call(ctx, v, 0)
	}
	g.Leave(place, true)
	require.NoError(t, (<-outs[0]).own)
	require.Equal(t, own, (<-outs[1]).own)
	o := <-outs[2]
	require.True(t, o.place.Alone)
	g.Leave(o.place, true) // it had none
	require.NoError(t, (<-outs[3]).own)
	require.NoError(t, (<-outs[4]).own)
	require.Equal(t, 2, round)
	idle(t, g)
}

func TestCloseAnswersEveryone(t *testing.T) {
	t.Parallel()
	g := newGate(func(c *Config[int]) { c.Calls = 2 })
	place := g.hold(t)
	var outs []<-chan outcome
	for v := range 4 {
		outs = append(outs, g.call(ctx, v, 0))
	}
	g.Leave(place, true)
	<-g.given // the first two are under way
	g.Close()
	require.Equal(t, ErrClosed, (<-outs[2]).err)
	require.Equal(t, ErrClosed, (<-outs[3]).err)
	_, err := g.Do(ctx, g.Get())
	require.Equal(t, ErrClosed, err)
	g.letGo <- nil
	require.Equal(t, outcome{val: 0}, <-outs[0])
	require.Equal(t, outcome{val: 10}, <-outs[1])
	idle(t, g)
}

// A database that does not know the statement gets no more of them.
func TestFailingBatchesStop(t *testing.T) {
	t.Parallel()
	var unknown atomic.Bool
	var g *gate
	g = newGate(func(c *Config[int]) {
		c.Run = func(_ context.Context, calls []*Call[int]) error {
			g.Failed(calls, unknown.Load())
			return nil
		}
	})
	batch := func() {
		place := g.hold(t)
		a, b := g.call(ctx, 1, 0), g.call(ctx, 2, 0)
		g.Leave(place, true)
		require.True(t, (<-a).place.Alone)
		require.True(t, (<-b).place.Alone)
		idle(t, g)
	}
	for range 2 * maxFailed {
		batch()
	}
	unknown.Store(true)
	for range maxFailed {
		batch()
	}
	require.EqualValues(t, 3*maxFailed, g.Stats().Failed)
	for range 3 {
		g.hold(t) // they don't take turns any more
	}
	require.Zero(t, g.Stats().InFlight)

	g.mu.Lock()
	g.off = time.Now() // a minute later
	g.mu.Unlock()
	place := g.hold(t)
	waits := g.call(ctx, 1, 0)
	require.Equal(t, 1, g.Stats().Queue, "it is tried again")
	g.Close()
	require.Equal(t, ErrClosed, (<-waits).err)
	g.Leave(place, true)
}

// A call that is put back into the queue after its caller has left must not be given a place.
func TestLeavingBeforeAgain(t *testing.T) {
	t.Parallel()
	left := make(chan struct{})
	given := make(chan struct{})
	g := newGate(func(c *Config[int]) {
		c.Run = func(_ context.Context, calls []*Call[int]) error {
			given <- struct{}{}
			<-left
			calls[1].Again()
			return nil
		}
	})
	place := g.hold(t)
	gone, cancel := context.WithCancel(ctx)
	stays, leaves := g.call(ctx, 1, 0), g.call(gone, 2, 0)
	g.Leave(place, true)
	<-given
	cancel()
	require.True(t, (<-leaves).place.Sent)
	close(left)
	require.NoError(t, (<-stays).err)
	idle(t, g)
}

func TestWaitedTooLong(t *testing.T) {
	t.Parallel()
	g := newGate(func(c *Config[int]) { c.Timeout = time.Nanosecond })
	place := g.hold(t)
	out := g.call(ctx, 1, 0)
	g.Leave(place, true)
	require.ErrorIs(t, (<-out).own, context.DeadlineExceeded)
	idle(t, g)
}

// Callers come and leave at random: no place is lost, and everyone is answered once.
func TestFlood(t *testing.T) {
	t.Parallel()
	var sent atomic.Int64
	l := New(Config[int]{Context: ctx, Batches: &sync.WaitGroup{}, Places: 4, Price: time.Microsecond, Calls: 7, Bytes: 100, Queue: 40, Run: func(_ context.Context, calls []*Call[int]) error {
		sent.Add(int64(len(calls)))
		for i, c := range calls {
			switch c.Val % 11 {
			case 3:
				c.Alone()
			case 5:
				if i%2 == 0 {
					c.Again()
					c.Val++
				}
			}
		}
		return nil
	}})
	var answers, left atomic.Int64
	var all sync.WaitGroup
	for n := range 64 {
		all.Go(func() {
			for i := range 500 {
				ctx, cancel := context.WithCancel(ctx)
				if (n+i)%7 == 0 {
					go cancel()
				}
				c := l.Get()
				c.Val, c.Size = n+i, i%30
				place, err := l.Do(ctx, c)
				switch {
				case err == nil && place.Alone:
					runtime.Gosched() // the statement
					l.Leave(place, true)
					answers.Add(1)
				case err == nil:
					answers.Add(1)
				default:
					left.Add(1)
				}
				cancel()
			}
		})
	}
	all.Wait()
	require.EqualValues(t, 64*500, answers.Load()+left.Load())
	require.Positive(t, sent.Load())
	require.Eventually(t, func() bool { s := l.Stats(); return s.InFlight == 0 && s.Queue == 0 }, 10*time.Second, time.Millisecond)
	l.mu.Lock()
	defer l.mu.Unlock()
	require.Zero(t, l.inside)
}

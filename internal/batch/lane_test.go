package batch

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var ctx = context.Background()

// gate is a Run that waits to be let go, and says what it was given.
type gate struct {
	*Lane[int]
	given chan []int
	letGo chan error
}

func newGate(change func(*Config[int])) *gate {
	g := &gate{given: make(chan []int), letGo: make(chan error)}
	cfg := Config[int]{Context: ctx, Batches: &sync.WaitGroup{}, Places: 1, Price: time.Hour, Calls: 100, Bytes: 1000, Queue: 100, Run: func(_ context.Context, calls []*Call[int]) error {
		var values []int
		for _, c := range calls {
			values = append(values, c.Val)
		}
		g.given <- values
		err := <-g.letGo
		for _, c := range calls {
			c.Val *= 10
		}
		return err
	}}
	if change != nil {
		change(&cfg)
	}
	g.Lane = New(cfg)
	return g
}

// hold takes the only place, as a call that goes alone.
func (g *gate) hold(t *testing.T) Place {
	t.Helper()
	c := g.Get()
	place, err := g.Do(ctx, c)
	require.NoError(t, err)
	require.True(t, place.Alone)
	return place
}

type outcome struct {
	val   int
	place Place
	err   error // of Do
	own   error // of the call
}

// call makes a call in the background, and returns once it waits.
func (g *gate) call(ctx context.Context, v, size int) <-chan outcome {
	before := g.Stats()
	out := make(chan outcome, 1)
	go func() {
		c := g.Get()
		c.Val, c.Size = v, size
		place, err := g.Do(ctx, c)
		out <- outcome{c.Val, place, err, c.Err}
	}()
	for s := g.Stats(); s.Queue == before.Queue && s.Refused == before.Refused && s.InFlight == before.InFlight; s = g.Stats() {
		time.Sleep(time.Microsecond)
	}
	return out
}

func TestAloneAtOnce(t *testing.T) {
	t.Parallel()
	g := newGate(nil)
	for range 3 {
		g.Leave(g.hold(t), true)
	}
	s := g.Stats()
	require.EqualValues(t, 3, s.Alone)
	require.Zero(t, s.Batches)
	require.Zero(t, s.InFlight)
}

func TestThoseWhoWaitGoTogether(t *testing.T) {
	t.Parallel()
	g := newGate(nil)
	place := g.hold(t)
	var outs []<-chan outcome
	for v := range 5 {
		outs = append(outs, g.call(ctx, v, 0))
	}
	require.Equal(t, 5, g.Stats().Queue)
	g.Leave(place, true)
	require.Equal(t, []int{0, 1, 2, 3, 4}, <-g.given, "in the order they came")
	g.letGo <- nil
	for v, out := range outs {
		require.Equal(t, outcome{val: v * 10}, <-out)
	}
	require.Equal(t, 5, g.Stats().Largest)
	idle(t, g)
}

// idle checks that every place was given back.
func idle(t *testing.T, g *gate) {
	t.Helper()
	require.Eventually(t, func() bool { s := g.Stats(); return s.InFlight == 0 && s.Queue == 0 }, 10*time.Second, time.Millisecond)
	g.mu.Lock()
	defer g.mu.Unlock()
	require.Zero(t, g.inside)
	require.Zero(t, g.gone)
}

func TestOneThatWaitsGoesAlone(t *testing.T) {
	t.Parallel()
	g := newGate(nil)
	place := g.hold(t)
	out := g.call(ctx, 1, 0)
	g.Leave(place, true)
	o := <-out
	require.True(t, o.place.Alone)
	require.Equal(t, 1, g.Stats().InFlight, "it has the place")
	g.Leave(o.place, true)
	idle(t, g)
}

func TestLimitsOfABatch(t *testing.T) {
	t.Parallel()
	g := newGate(func(c *Config[int]) { c.Calls = 3 })
	place := g.hold(t)
	sizes := []int{400, 400, 400, 1, 1, 1, 1, 5000}
	var outs []<-chan outcome
	for v, size := range sizes {
		outs = append(outs, g.call(ctx, v, size))
	}
	g.Leave(place, true)
	for _, want := range [][]int{{0, 1}, {2, 3, 4}, {5, 6}} {
		require.Equal(t, want, <-g.given)
		g.letGo <- nil
	}
	o := <-outs[7]
	require.True(t, o.place.Alone, "larger than a batch may be")
	g.Leave(o.place, true)
	for _, out := range outs[:7] {
		require.NoError(t, (<-out).err)
	}
	idle(t, g)
}

func TestQueueIsBounded(t *testing.T) {
	t.Parallel()
	g := newGate(func(c *Config[int]) { c.Queue = 2 })
	place := g.hold(t)
	gone, cancel := context.WithCancel(ctx)
	left := g.call(gone, 0, 0)
	waits := g.call(ctx, 1, 0)
	require.Equal(t, ErrFull, (<-g.call(ctx, 2, 0)).err)
	cancel()
	require.Equal(t, context.Canceled, (<-left).err)
	again := g.call(ctx, 3, 0) // there is room again
	require.Equal(t, ErrFull, (<-g.call(ctx, 4, 0)).err)
	g.Leave(place, true)
	require.Equal(t, []int{1, 3}, <-g.given)
	g.letGo <- nil
	require.NoError(t, (<-waits).err)
	require.NoError(t, (<-again).err)
	require.EqualValues(t, 2, g.Stats().Refused)
	require.EqualValues(t, 1, g.Stats().Left)
	idle(t, g)
}

func TestCallerLeaves(t *testing.T) {
	t.Parallel()
	g := newGate(nil)
	place := g.hold(t)
	gone, cancel := context.WithCancel(ctx)
	left, stays := g.call(gone, 1, 0), g.call(ctx, 2, 0)
	g.Leave(place, true)
	require.Equal(t, []int{1, 2}, <-g.given)
	cancel()
	o := <-left
	require.Equal(t, context.Canceled, o.err)
	require.True(t, o.place.Sent, "its batch is under way")
	g.letGo <- nil
	require.Equal(t, outcome{val: 20}, <-stays)
	idle(t, g)
}

// A caller who leaves in the moment when it is told to go alone must not take the place along.
func TestLeavingWithThePlace(t *testing.T) {
	t.Parallel()
	g := newGate(nil)
	var went, left int
	for range 2000 {
		place := g.hold(t)
		gone, cancel := context.WithCancel(ctx)
		out := g.call(gone, 1, 0)
		var both sync.WaitGroup
		both.Go(cancel)
		both.Go(func() { g.Leave(place, true) })
		both.Wait()
		switch o := <-out; {
		case o.err != nil:
			require.False(t, o.place.Sent, "nobody had sent it")
			left++
		default:
			require.True(t, o.place.Alone)
			g.Leave(o.place, true)
			went++
		}
	}
	t.Log(went, "went,", left, "left")
	idle(t, g)
}

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
	for _, want := range []string{"failed", "panic: oh"} {
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

func TestPlaces(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		took time.Duration
		want int
	}{{10 * time.Microsecond, 3}, {100 * time.Microsecond, 3}, {300 * time.Microsecond, 5}, {time.Millisecond, 16}, {time.Second, 16}} {
		l := newLimit(3, 16, 60*time.Microsecond)
		at := time.Now()
		for range 100 {
			l.seen(c.took, at)
			l.seen(c.took*20, at) // big batches, a busy moment
			at = at.Add(30 * time.Millisecond)
		}
		require.Equal(t, c.want, l.places, c.took)
	}
	// The database moves away: two windows later that is known.
	l := newLimit(3, 16, 60*time.Microsecond)
	at := time.Now()
	var places []int
	for i := range 100 {
		took := 100 * time.Microsecond
		if i >= 50 {
			took = time.Millisecond
		}
		l.seen(took, at)
		at = at.Add(50 * time.Millisecond)
		if i%10 == 9 {
			places = append(places, l.places)
		}
	}
	require.Equal(t, 3, places[4])
	require.Equal(t, 16, places[9])
	require.True(t, slices.IsSorted(places))
	require.Equal(t, 1, newLimit(3, 1, time.Second).places, "never more than the most")
}

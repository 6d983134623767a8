package batch

import (
	"context"
	"sync"
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

// TestStuck: a call that went alone and waits for long, for a row that someone else has locked, holds up others for a while only.
func TestStuck(t *testing.T) {
	t.Parallel()
	g := newGate(func(c *Config[int]) { c.Patience, c.Places, c.Least, c.Few = 10*time.Millisecond, 3, 1, 1 })
	stuck := g.hold(t)
	second, third := g.hold(t), g.hold(t) // they wait until the one before is taken to be stuck
	require.Equal(t, 1, g.Stats().InFlight)
	g.Leave(third, true)
	g.Leave(stuck, true)
	g.Leave(second, true)
	idle(t, g)

	g.mu.Lock()
	g.cfg.Patience = time.Hour
	g.mu.Unlock()
	last := g.hold(t)
	waits := g.call(ctx, 4, 0)
	select {
	case <-waits:
		t.Fatal("one that was stuck has given back a place that it did not have any more")
	case <-time.After(50 * time.Millisecond):
	}
	g.Leave(last, true)
	got := <-waits
	g.Leave(got.place, true)
	idle(t, g)
}

// TestWary: a batch that failed may have waited for a row that someone else has locked, and so may the next one: for a while it keeps nobody from leaving.
func TestWary(t *testing.T) {
	t.Parallel()
	for _, failed := range []bool{false, true} {
		g := newGate(func(c *Config[int]) { c.Places, c.Least, c.Few, c.Fill = 4, 2, 1, 100 })
		if failed {
			g.Failed(nil, false)
		}
		held := g.hold(t)
		place := make(chan Place, 1)
		go func() {
			place <- g.hold(t)
		}()
		if !failed {
			require.Eventually(t, func() bool { return g.Stats().Queue == 1 }, 10*time.Second, time.Millisecond, "one is in flight until it is well filled")
			g.Leave(held, true)
		}
		var second Place
		select {
		case second = <-place:
		case <-time.After(10 * time.Second):
			require.Fail(t, "it waits for the one in flight")
		}
		if failed {
			g.Leave(held, true)
		}
		g.Leave(second, true)
		idle(t, g)
	}
}

// TestAgainIsLookedAt: those that a batch puts back do not wait for ever for a place that one has which is stuck, even if nobody comes any more.
func TestAgainIsLookedAt(t *testing.T) {
	t.Parallel()
	back := make(chan bool)
	g := newGate(func(c *Config[int]) {
		c.Places, c.Least, c.Few, c.Patience = 3, 1, 1, 10*time.Millisecond
		run := c.Run
		c.Run = func(ctx context.Context, calls []*Call[int]) error {
			if len(calls) == 2 && calls[0].Val == 1 { // the first time
				calls[0].Val = 7
				<-back
				calls[0].Again()
				calls[1].Again()
				return nil
			}
			return run(ctx, calls)
		}
	})
	first := g.hold(t)
	a, b := g.call(ctx, 1, 0), g.call(ctx, 2, 0)
	g.Leave(first, true) // they go together
	require.Eventually(t, func() bool { g.mu.Lock(); defer g.mu.Unlock(); return len(g.queue) == 0 && !g.looking }, 10*time.Second, time.Millisecond)
	g.mu.Lock() // a call has the place beside it, and is stuck: by then nobody waits
	g.busy++
	g.inside++
	slot := g.slots.take(time.Now())
	g.mu.Unlock()
	back <- true
	require.Equal(t, []int{7, 2}, <-g.given)
	g.letGo <- nil
	require.Equal(t, 70, (<-a).val)
	require.Equal(t, 20, (<-b).val)
	g.mu.Lock()
	g.giveBack(slot)
	g.mu.Unlock()
	idle(t, g)
}

package torture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/entsession/entsession"
)

// Options of a campaign. Only Target is required.
type Options struct {
	Target Target
	// For is how long faults happen. Zero: each fault once, in a random order.
	For time.Duration
	// Clients is how many processes there are, and Local how many stores in this one. Default to 3 and 1.
	Clients, Local int
	// Workers make calls, one at a time each. Default to 24.
	Workers int
	// Sessions are worked on at a time. Default to 200.
	Sessions int
	// Think is how long a worker waits between two calls at most, so that the machine has time for all others. Defaults to 20 ms.
	Think time.Duration
	// Seed draws the faults and the calls. What meets what is up to the scheduler.
	Seed uint64
	// Faults are the names of those that are injected. Defaults to all with a weight.
	Faults []string
	// Batching of the stores: "on", "off" or, the default, "mixed".
	Batching string
	// Calm is how long at least nothing happens after a fault has settled, while every call must succeed, if the dice say
	// so; else the next fault comes at once. Defaults to one second.
	Calm time.Duration
	// Log hears how it goes; Every is how often. Defaults to nobody, and five seconds.
	Log   io.Writer
	Every time.Duration
	// Stderr is that of the client processes. Defaults to nobody.
	Stderr io.Writer
}

func (o *Options) defaults() error {
	def := func(n *int, to int) {
		if *n == 0 {
			*n = to
		}
	}
	def(&o.Clients, 3)
	def(&o.Local, 1)
	def(&o.Workers, 24)
	def(&o.Sessions, 200)
	o.Local, o.Clients = max(o.Local, 0), max(o.Clients, 0)
	wait := func(d *time.Duration, to time.Duration) {
		if *d == 0 {
			*d = to
		}
	}
	wait(&o.Think, 20*time.Millisecond)
	wait(&o.Calm, time.Second)
	wait(&o.Every, 5*time.Second)
	if o.Log == nil {
		o.Log = io.Discard
	}
	if o.Stderr == nil {
		o.Stderr = io.Discard
	}
	if o.Batching == "" {
		o.Batching = "mixed"
	}
	switch {
	case o.Target == nil:
		return errors.New("options: a Target is required")
	case !slices.Contains([]string{"on", "off", "mixed"}, o.Batching):
		return fmt.Errorf("options: Batching: %q is neither on, off nor mixed", o.Batching)
	case o.Clients+o.Local < 1:
		return errors.New("options: there must be one client, or a Local one")
	case o.Workers < 1 || o.Sessions < 1:
		return errors.New("options: there must be at least one of the Workers and of the Sessions")
	}
	return nil
}

// campaign is one run.
type campaign struct {
	Options
	start   int64
	seats   []*seat
	world   *world
	weather *weather
	probe   probe
	timer   *timer // of this process
	tally   *tally
	faults  []Fault
	schema  schema

	injecting sync.Mutex // one fault at a time
	workers   sync.WaitGroup
	stop      chan struct{} // closed when the workers are to stop
	over      sync.Once
}

// Run runs a campaign. The error is one of the campaign's own: something could not be set up, injected or undone. What the store did
// wrong is in the report's Violations. When ctx ends it stops early, and has its last look all the same.
func Run(ctx context.Context, o Options) (*Report, error) {
	if err := o.defaults(); err != nil {
		return nil, fmt.Errorf("campaign: %w", err)
	}
	c := &campaign{Options: o, start: now(), stop: make(chan struct{})}
	c.tally = newTally()
	c.weather = &weather{}
	c.world = newWorld(o.Sessions)
	if err := c.choose(); err != nil {
		return nil, fmt.Errorf("campaign: %w", err)
	}
	c.timer = startTimer()
	defer c.timer.stop()
	began := time.Now()
	err := c.run(ctx)
	err = errors.Join(err, c.closeSeats())
	r := c.report(time.Since(began))
	if err != nil {
		return r, fmt.Errorf("campaign on %s: %w", o.Target.Name(), err)
	}
	return r, nil
}

func (c *campaign) run(ctx context.Context) (err error) {
	if err := c.prepare(ctx); err != nil {
		return err
	}
	unprobe, err := c.startProbe(ctx)
	if err != nil {
		return err
	}
	defer c.halt()
	mended := c.startMending(ctx)
	defer func() { err = errors.Join(err, mended()) }()
	for i := range c.Workers {
		w := &worker{campaign: c, number: i, rng: rand.New(rand.NewPCG(c.Seed, uint64(1000+i)))}
		c.workers.Go(w.run)
	}
	retired := c.startRetiring()
	progress := c.startProgress()
	sleep(ctx, time.Second) // connections are made, plans are cached
	c.gaugeAll(func(s *seat, g Gauge) { s.first = g })
	err = c.storm(ctx)
	if err == nil {
		sleep(ctx, settle+c.Calm)
	}
	c.halt()
	c.world.retireAll()
	retired()
	progress()
	unprobe()
	if err != nil {
		return err
	}
	return c.lastLook()
}

// halt stops the workers.
func (c *campaign) halt() {
	c.over.Do(func() { close(c.stop) })
	c.workers.Wait()
}

// prepare makes the table and starts the clients.
func (c *campaign) prepare(ctx context.Context) error {
	cfg := c.Target.Config(1)
	store, err := entsession.Open(ctx, cfg)
	if err != nil {
		return err
	}
	err = errors.Join(store.Migrate(ctx), store.Close())
	if err != nil {
		return err
	}
	c.schema.dialect = cfg.Driver
	if _, err := c.Target.Admin().ExecContext(ctx, "ALTER TABLE sessions ADD COLUMN seat bigint NULL"); err != nil {
		return fmt.Errorf("adding a column: %w", err)
	}
	for n := range c.Clients + c.Local {
		s := &seat{campaign: c, number: n, apart: n < c.Clients}
		if err := s.start(); err != nil {
			return err
		}
		c.seats = append(c.seats, s)
	}
	return nil
}

// choose picks the faults: the target's and the campaign's own.
func (c *campaign) choose() error {
	all := append(c.Target.Faults(), c.ownFaults()...)
	if len(c.Faults) == 0 {
		c.faults = slices.DeleteFunc(all, func(f Fault) bool { return f.Weight <= 0 })
		return nil
	}
	for _, name := range c.Faults {
		i := slices.IndexFunc(all, func(f Fault) bool { return f.Name == name })
		if i < 0 {
			var known []string
			for _, f := range all {
				known = append(known, f.Name)
			}
			return fmt.Errorf("options: Faults: %q is none of %s's; there are %s", name, c.Target.Name(), strings.Join(known, ", "))
		}
		f := all[i]
		f.Weight = max(f.Weight, 1)
		c.faults = append(c.faults, f)
	}
	return nil
}

// storm injects the faults, one after the other.
func (c *campaign) storm(ctx context.Context) error {
	rng := rand.New(rand.NewPCG(c.Seed, 1))
	once := rng.Perm(len(c.faults))
	ends := time.Now().Add(c.For)
	for n := 0; ctx.Err() == nil; n++ {
		var f Fault
		if c.For == 0 {
			if n == len(once) {
				return nil
			}
			f = c.faults[once[n]]
		} else {
			if !time.Now().Before(ends) {
				return nil
			}
			f = draw(rng, c.faults)
		}
		if err := c.inject(ctx, f, rng); err != nil {
			return err
		}
		sleep(ctx, c.gap(rng, f))
	}
	return nil
}

// gap is the time to the next fault: most often calls must succeed in the end of it.
func (c *campaign) gap(rng *rand.Rand, f Fault) time.Duration {
	gap := between(rng, 0, settle)
	if rng.IntN(3) > 0 {
		gap = max(f.Settle, settle) + between(rng, c.Calm, 3*c.Calm)
	}
	if c.For == 0 { // each once: one calm after all of them
		gap /= 8
	}
	return gap
}

func draw(rng *rand.Rand, faults []Fault) Fault {
	total := 0
	for _, f := range faults {
		total += f.Weight
	}
	n := rng.IntN(total)
	for _, f := range faults {
		if n -= f.Weight; n < 0 {
			return f
		}
	}
	return faults[0]
}

func (c *campaign) inject(ctx context.Context, f Fault, rng *rand.Rand) error {
	// A stream of its own, so that what a fault draws moves no other's.
	own := rand.New(rand.NewPCG(rng.Uint64(), rng.Uint64()))
	c.injecting.Lock()
	defer c.injecting.Unlock()
	return c.spell(ctx, f, own, c.at())
}

// spell injects a fault that began at some time.
func (c *campaign) spell(ctx context.Context, f Fault, own *rand.Rand, began int64) error {
	end := c.weather.begin(f, began)
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := f.Inject(bounded, own)
	end(c.at())
	c.tally.fault(f.Name)
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("fault %q: %w", f.Name, err)
	}
	return nil
}

// mendEvery is how often it is looked for what has ended by itself.
const mendEvery = 50 * time.Millisecond

// startMending has a Mender mended until the function that it returns is called.
func (c *campaign) startMending(ctx context.Context) (end func() error) {
	m, ok := c.Target.(Mender)
	if !ok {
		return func() error { return nil }
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() {
		for {
			sleep(ctx, mendEvery)
			if ctx.Err() != nil {
				done <- nil
				return
			}
			if err := c.mend(ctx, m); err != nil {
				done <- err
				return
			}
		}
	}()
	return func() error {
		cancel()
		return <-done
	}
}

func (c *campaign) mend(ctx context.Context, m Mender) error {
	c.injecting.Lock()
	defer c.injecting.Unlock()
	f, ended := m.Ended()
	if !ended {
		return nil
	}
	return c.spell(ctx, f, nil, c.at()-int64(4*mendEvery))
}

// at is the time since the campaign began, in ns.
func (c *campaign) at() int64 { return now() - c.start }

// FaultNames are the faults of a target, and the campaign's own.
func FaultNames(t Target) (names []string) {
	for _, f := range append(t.Faults(), (&campaign{Options: Options{Clients: 1}}).ownFaults()...) {
		names = append(names, f.Name)
	}
	slices.Sort(names)
	return names
}

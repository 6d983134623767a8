package main

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/entsession/entsession/bench/internal/stores"
)

// callers makes the functions that n goroutines call. Each saves sessions of its own slice of the table only, so that no
// guard meets another caller's write, and loads any. Its context can be cancelled, as a request's can.
func callers(ctx context.Context, store stores.Store, setup stores.Setup, op string, n int) (calls []func() error, cancel func()) {
	cancels := make([]context.CancelFunc, n)
	for i := range n {
		own, cancel := context.WithCancel(ctx)
		cancels[i] = cancel
		c := &caller{
			ctx: own, store: store, rows: setup.Rows, first: i * setup.Rows / n, end: (i + 1) * setup.Rows / n,
			random: rand.New(rand.NewPCG(rand.Uint64(), uint64(i))), payload: append([]byte(nil), setup.Payload...),
		}
		c.change = c.random.Uint64()
		calls = append(calls, map[string]func() error{opLoad: c.load, opSave: c.save, opMix: c.mix}[op])
	}
	return calls, func() {
		for _, cancel := range cancels {
			cancel()
		}
	}
}

type caller struct {
	ctx        context.Context
	store      stores.Store
	rows       int
	first, end int // its own rows
	random     *rand.Rand
	payload    []byte
	change     uint64
	turn       int
}

func (c *caller) load() error {
	data, err := c.store.Load(c.ctx, c.random.IntN(c.rows))
	if err == nil && len(data) != len(c.payload) {
		err = fmt.Errorf("loaded %d bytes, and %d were saved", len(data), len(c.payload))
	}
	return err
}

// save writes what was never written before.
func (c *caller) save() error {
	c.change++
	stores.Change(c.payload, c.change)
	return c.store.Save(c.ctx, c.first+c.random.IntN(c.end-c.first), c.payload)
}

func (c *caller) mix() error {
	c.turn++
	if c.turn%5 == 0 {
		return c.save()
	}
	return c.load()
}

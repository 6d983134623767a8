package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/entsession/entsession/bench/internal/measure"
	"github.com/entsession/entsession/bench/internal/report"
	"github.com/entsession/entsession/bench/internal/stores"
)

// arena is where stores are compared: all are open at once, each on a database of its own on the same server, with the
// same payload and the same way there.
type arena struct {
	servers *stores.Servers
	match   *match
	setup   stores.Setup
	turns   []*turn
}

// turn is a store that takes turns with the others.
type turn struct {
	name  string
	place stores.Place
	store stores.Store
}

// maxData bounds each table: the figures are to be of a store whose rows are in memory.
const maxData = 64 << 20

func openArena(ctx context.Context, s *stores.Servers, o options, m *match) (*arena, error) {
	a := &arena{servers: s, match: m, setup: stores.Setup{
		Rows: max(min(o.rows, maxData/m.payload), m.callers()), Payload: stores.Payload(m.payload), Conns: o.conns,
	}}
	for _, c := range stores.Of(m.db) {
		if !slices.Contains(m.stores, c.Name) {
			continue
		}
		kind := m.db
		if c.Server != "" {
			kind = c.Server
		}
		place, err := s.Place(ctx, kind, m.net > 0)
		t := &turn{name: c.Name, place: place}
		if err == nil {
			t.store, err = c.Open(ctx, place, a.setup)
		}
		if err == nil {
			a.turns = append(a.turns, t)
			err = s.Settle(ctx, place)
		}
		if err == nil {
			err = a.wake(ctx, t)
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("opening %s on %s: %w", c.Name, m.db, err), a.close(ctx))
		}
	}
	unix.Sync() // or the disk would still be writing the rows while the first store saves
	return a, nil
}

// wake gives a store a short turn that isn't counted: the first statements of a connection, and of a server on a new table, are
// slow for all, but not for each in the same way.
func (a *arena) wake(ctx context.Context, t *turn) error {
	if _, ok := t.store.(stores.Outsider); ok {
		return nil
	}
	calls, cancel := callers(ctx, t.store, a.setup, opMix, a.match.cells[0].callers)
	defer cancel()
	short := measure.Window{Warmup: 100 * time.Millisecond, Length: 200 * time.Millisecond}
	if _, err := short.Round(ctx, calls); !errors.Is(err, measure.ErrNothing) {
		return err
	}
	return nil
}

func (a *arena) close(ctx context.Context) error {
	var errs []error
	for _, t := range a.turns {
		errs = append(errs, t.store.Close())
		if ctx.Err() == nil { // or the server goes anyway
			errs = append(errs, a.servers.Drop(ctx, t.place))
		}
	}
	return errors.Join(errs...)
}

// cell runs the rounds of one operation and one number of callers. The order of the stores turns around from round to
// round, so that none always comes first after another. An error abandons the cell: what a store with errors reaches is
// not to be compared.
func (a *arena) cell(ctx context.Context, o options, c cell, p *progress) report.Cell {
	out := report.Cell{DB: a.match.db, Net: a.match.net, Payload: a.match.payload, Rows: a.setup.Rows, Callers: c.callers, Op: c.op}
	rounds := map[string][]measure.Round{}
	for r := range o.rounds {
		order := slices.Clone(a.turns)
		if r%2 == 1 {
			slices.Reverse(order)
		}
		for _, t := range order {
			if !slices.Contains(c.stores, t.name) || out.Error != "" {
				continue
			}
			p.at(out, t.name)
			got, err := a.round(ctx, o, t, c)
			if err != nil {
				out.Error = fmt.Sprintf("%s: %v", t.name, err)
			}
			rounds[t.name] = append(rounds[t.name], got)
		}
	}
	if out.Error != "" {
		return out
	}
	for _, t := range a.turns {
		if len(rounds[t.name]) > 0 {
			out.Add(t.name, rounds[t.name])
		}
	}
	out.Compare(o.peer)
	return out
}

func (a *arena) round(ctx context.Context, o options, t *turn, c cell) (measure.Round, error) {
	if outsider, ok := t.store.(stores.Outsider); ok {
		return outsider.Round(ctx, c.op, c.callers, o.window)
	}
	calls, cancel := callers(ctx, t.store, a.setup, c.op, c.callers)
	defer cancel()
	got, err := o.window.Round(ctx, calls)
	for again := 2; again > 0 && errors.Is(err, measure.ErrNothing); again-- {
		got, err = o.window.Round(ctx, calls)
	}
	if err != nil {
		return got, err
	}
	ctx, stop := context.WithTimeout(ctx, 10*time.Second)
	defer stop()
	got.Conns, err = a.servers.Conns(ctx, t.place)
	return got, err
}

package entsession

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"time"

	"entgo.io/ent/dialect"

	"github.com/entsession/entsession/internal/batch"
	"github.com/entsession/entsession/internal/fault"
	"github.com/entsession/entsession/internal/stmt"
	"github.com/entsession/entsession/internal/wire"
)

// Group commit: calls that have to wait for the database anyway travel together. Each kind of call has a lane (internal/batch); this file
// has the lanes and the way into them; reads.go, writes.go and changes.go what travels there, and what a batch does.
//
// A batch only answers what it is sure of. A call that it can't answer is sent by its caller as a statement of its own, and so is every call of a
// batch that failed for a reason that may be one row's.

// The limits of a batch. Beyond some hundred rows a statement gains little, and makes others wait.
const (
	maxCalls = 256
	maxBytes = 1 << 20
	// What a batch costs client and server in processor time, apart from its rows: measured on one machine with PostgreSQL 15 and MariaDB 10.11, to
	// an order of magnitude, which is enough (see package batch). MySQL's changes are transactions of four statements.
	price        = 60 * time.Microsecond
	priceMySQL   = 100 * time.Microsecond
	priceWriting = 150 * time.Microsecond
	priceLocking = 400 * time.Microsecond
	priceSQLite  = 20 * time.Microsecond
	// changesFill is from how many changes on two batches are better than one, fewLoads and fewChanges how many calls for each processor, and for one more, are
	// better sent each alone, fewSaves how many saves for each, and maxPipelined up to how many loads or saves are better sent as a statement each, in one
	// trip: measured likewise, PostgreSQL. With fewer saves going alone, those in a mix with loads lose more than saves alone gain.
	changesFill  = 16
	fewLoads     = 2
	fewChanges   = 3
	fewSaves     = 2
	maxPipelined = 8
	// maxSets bounds the lanes for different sets of extra columns; saves with further sets go alone.
	maxSets = 32
)

// patience is how long a call that waits for a row may hold up others, alone as in a batch.
const patience = stmt.PatienceMilliseconds * time.Millisecond

// lanes are those of a table as it was described.
type lanes struct {
	store *Store
	set   *stmt.Set
	text  *stmt.Together

	load   *batch.Lane[reading]
	check  *batch.Lane[reading]
	touch  *batch.Lane[writing]
	remove *batch.Lane[writing]
	write  *batch.Lane[writing] // SQLite: every change

	mu     sync.RWMutex
	create map[string]*batch.Lane[writing] // by the names of the extra columns; nil: they can't travel
	save   map[string]*batch.Lane[writing]
	closed bool
}

// lanesFor gives the lanes of a table, or nil when every call is to go alone.
func (s *Store) lanesFor(set *stmt.Set) *lanes {
	if s.cfg.DisableBatching {
		return nil
	}
	if l := s.lanes.Load(); l != nil && l.set == set {
		return l.usable()
	}
	return s.newLanes(set)
}

// usable gives nil instead of the lanes of a table whose rows can't share statements.
func (l *lanes) usable() *lanes {
	if l.text == nil {
		return nil
	}
	return l
}

// newLanes makes the lanes anew after the table was described again. Calls in the old ones are answered there.
func (s *Store) newLanes(set *stmt.Set) *lanes {
	s.lanesMu.Lock()
	defer s.lanesMu.Unlock()
	old := s.lanes.Load()
	if old != nil && old.set == set { // someone else was quicker
		return old.usable()
	}
	l := &lanes{store: s, set: set, text: set.Together(), create: map[string]*batch.Lane[writing]{}, save: map[string]*batch.Lane[writing]{}}
	if l.text != nil {
		l.load, l.check = newLane(l, "load", 0, s.connections(), false, l.runLoad), newLane(l, "check", 0, s.connections(), false, l.runCheck)
		if set.Table.Dialect == dialect.SQLite {
			l.write = newLane(l, "write", 0, 1, true, l.runStatements)
		} else {
			l.touch, l.remove = newLane(l, "touch", 0, s.connections(), true, l.runTouch), newLane(l, "delete", 0, s.connections(), true, l.runRemove)
		}
	}
	if old != nil {
		s.retired = merge(append(s.retired, old.stats()...))
		for i := range s.retired {
			r := &s.retired[i]
			r.Queue, r.InFlight, r.Places = 0, 0, 0
		}
	}
	s.lanes.Store(l)
	return l.usable()
}

// connections is how many the pool may have.
func (s *Store) connections() int {
	if p, ok := s.db.(*wire.Pool); ok {
		if n := p.DB().Stats().MaxOpenConnections; n > 0 {
			return n
		}
	}
	return s.cfg.MaxOpenConns
}

// pipelines tells whether a few saves of a batch are a statement each: see saveEach.
func (l *lanes) pipelines() bool {
	pool, ok := l.store.db.(*wire.Pool)
	return ok && pool.Prepares() && l.set.SaveFirst != "" && l.store.pipelined > 0
}

func newLane[T any](l *lanes, name string, columns, places int, changes bool, run func(context.Context, *batch.Lane[T], []*batch.Call[T]) error) *batch.Lane[T] {
	cfg := l.store.cfg
	var lane *batch.Lane[T]
	cost, least, few, fill := price, 0, 0, 0
	switch d := l.set.Table.Dialect; {
	case d == dialect.SQLite:
		cost = priceSQLite
	case d == dialect.MySQL && changes:
		cost, least = priceLocking, 2
	case d == dialect.MySQL:
		cost = priceMySQL
	case changes:
		cost, least = priceWriting, 2 // they have the log in common: two batches keep it busy
		few, fill = fewChanges*(runtime.GOMAXPROCS(0)+1), changesFill
		if name == "save" && columns == 0 && l.pipelines() {
			few = fewSaves * runtime.GOMAXPROCS(0)
		}
	default:
		few = fewLoads * (runtime.GOMAXPROCS(0) + 1)
	}
	lane = batch.New(batch.Config[T]{
		Context: l.store.batchLife, Batches: &l.store.batches, Places: places, Least: least, Few: few, Fill: fill, Patience: patience, Price: cost, Calls: maxCalls, Bytes: maxBytes, Queue: cfg.MaxQueue, Timeout: cfg.StatementTimeout,
		// SQLite's commit waits for the disk in this process, and nothing can interrupt it: a caller can leave only what runs elsewhere.
		Always: l.store.together || changes && l.set.Table.Dialect == dialect.SQLite,
		Run: func(ctx context.Context, calls []*batch.Call[T]) error {
			start := l.store.clock()
			err := run(ctx, lane, calls)
			l.store.sent(name, len(calls), start, err)
			if err == nil || everyones(err) {
				return err
			}
			lane.Failed(calls, unknown(err))
			return nil
		},
	})
	return lane
}

// everyones tells whether an error of a batch is that of each of its calls: it says something of the connection, the server or the
// table. Each call then tries again as if it had been alone.
func everyones(err error) bool {
	switch fault.Of(err) {
	case fault.Lost, fault.NotSent, fault.ReadOnly, fault.StalePlan, fault.NoTable, fault.NoColumn:
		return true
	}
	return errors.Is(err, context.DeadlineExceeded)
}

// unknown tells whether an error is that of a database, or a driver, that does not know the statement of a batch.
func unknown(err error) bool {
	switch code := fault.Code(err); code {
	case "": // of the driver: it does not take arrays
		return !errors.Is(err, context.Canceled)
	case "error 1064", "error 1235", "error 1305": // a syntax error, not supported, no such function
		return true
	default:
		return strings.HasPrefix(code, "SQLSTATE 42") || strings.HasPrefix(code, "SQLSTATE 0A")
	}
}

// rows tells whether an error may be that of one row.
func rows(err error) bool {
	switch fault.Of(err) {
	case fault.Duplicate, fault.Constraint, fault.Charset, fault.Contention:
		return true
	}
	return false
}

// ride takes a call through a lane. If it is to go alone, it runs that; batched tells whether v has the answer.
func ride[T any](ctx context.Context, l *batch.Lane[T], v T, size int, lone func() error) (_ T, batched bool, err error) {
	c := l.Get()
	c.Val, c.Size = v, size
	place, err := l.Do(ctx, c)
	switch {
	case errors.Is(err, batch.ErrFull):
		return v, false, ErrOverloaded
	case errors.Is(err, batch.ErrClosed):
		return v, false, ErrClosed
	case err != nil:
		return v, false, err
	case place.Alone:
		l.Put(c)
		answered := false
		defer func() { l.Leave(place, answered) }()
		err = lone()
		answered = err == nil
		return v, false, err
	}
	v, err = c.Val, c.Err
	l.Put(c)
	return v, true, err
}

// forColumns finds the lane for a set of extra columns; nil if they can't travel.
func (l *lanes) forColumns(name string, kind map[string]*batch.Lane[writing], names []string, text func([]string) *stmt.Many,
	run func(*stmt.Many, int) func(context.Context, *batch.Lane[writing], []*batch.Call[writing]) error) *batch.Lane[writing] {
	key := strings.Join(names, "\x00")
	l.mu.RLock()
	lane, ok := kind[key]
	full := len(kind) >= maxSets
	l.mu.RUnlock()
	if ok || full {
		return lane
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if lane, ok := kind[key]; ok || l.closed || len(kind) >= maxSets {
		return lane
	}
	if many := text(names); many != nil {
		lane = newLane(l, name, len(names), l.store.connections(), true, run(many, len(names)))
	}
	kind[key] = lane
	return lane
}

// close answers those who wait with ErrClosed.
func (l *lanes) close() {
	if l.text == nil {
		return
	}
	l.load.Close()
	l.check.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for _, lane := range l.writes() {
		lane.Close()
	}
}

// writes are the lanes of changes. l.mu is locked.
func (l *lanes) writes() map[string]*batch.Lane[writing] {
	all := map[string]*batch.Lane[writing]{"write": l.write, "touch": l.touch, "delete": l.remove}
	for names, lane := range l.create {
		all["create "+names] = lane
	}
	for names, lane := range l.save {
		all["save "+names] = lane
	}
	for name, lane := range all {
		if lane == nil {
			delete(all, name)
		}
	}
	return all
}

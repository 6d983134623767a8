package main

import (
	"slices"
	"time"

	"github.com/entsession/entsession/bench/internal/stores"
)

// block is a part of the matrix: every combination of what it lists.
type block struct {
	dbs, ops, stores          []string
	callers, payloads, delays []int
}

// matrix is what is measured unless flags say otherwise.
type matrix struct {
	about  string
	rounds int
	round  time.Duration
	blocks []block
}

var (
	allOps   = []string{opLoad, opSave, opMix}
	oursScs  = []string{"ours", "scs"}
	manyMore = []int{1, 8, 64, 256, 1024}
	servers  = []string{stores.Postgres, stores.MariaDB}
)

var matrices = map[string]matrix{
	"quick": {"this store and scs on PostgreSQL: half a minute", 3, 500 * time.Millisecond, []block{
		{[]string{stores.Postgres}, allOps, oursScs, []int{1, 64, 256}, []int{2048}, []int{0}},
	}},
	"targets": {"what the table of targets needs", 5, time.Second, []block{
		{[]string{stores.Postgres}, allOps, oursScs, []int{1, 8, 64}, []int{200, 2048}, []int{0}},
		{[]string{stores.Postgres}, allOps, []string{"ours", "scs", "scs-redis"}, []int{256}, []int{200, 2048}, []int{0}},
		{[]string{stores.Postgres}, allOps, oursScs, []int{1, 8}, []int{200, 2048}, []int{1}},
		{[]string{stores.MariaDB}, allOps, oursScs, []int{64}, []int{200, 2048}, []int{0}},
		{[]string{stores.SQLite}, []string{opSave, opMix}, oursScs, []int{64}, []int{200, 2048}, []int{0}},
	}},
	"charts": {"what the charts of the README show", 5, time.Second, []block{
		{[]string{stores.Postgres}, allOps, names(), manyMore, []int{2048}, []int{0}},
		{[]string{stores.MariaDB, stores.SQLite}, allOps, []string{"ours", "unbatched", "scs", "raw-sql"}, manyMore, []int{2048}, []int{0}},
	}},
	"full": {"everything", 5, time.Second, []block{
		{servers, allOps, names(), manyMore, []int{200, 2048, 32768}, []int{0, 1}},
		{[]string{stores.SQLite}, allOps, names(), manyMore, []int{200, 2048, 32768}, []int{0}},
	}},
}

// matrixNames, the shortest run first.
var matrixNames = []string{"quick", "targets", "charts", "full"}

func names() (out []string) {
	for _, c := range stores.All() {
		out = append(out, c.Name)
	}
	return out
}

// match is a comparison: stores that are open at the same time, and the cells they meet in.
type match struct {
	db           string
	net, payload int
	stores       []string // in any of its cells
	cells        []cell
}

type cell struct {
	callers int
	op      string
	stores  []string
}

// plan puts the blocks in order. SQLite has no network.
func (o options) plan() (matches []*match) {
	for _, b := range o.blocks {
		for _, db := range b.dbs {
			for _, payload := range b.payloads {
				for _, net := range b.delays {
					if db == stores.SQLite && net > 0 {
						continue
					}
					found := slices.IndexFunc(matches, func(m *match) bool { return m.db == db && m.net == net && m.payload == payload })
					if found < 0 {
						matches = append(matches, &match{db: db, net: net, payload: payload})
						found = len(matches) - 1
					}
					matches[found].add(b)
				}
			}
		}
	}
	return matches
}

func (m *match) add(b block) {
	var entered []string
	for _, c := range stores.Of(m.db) {
		if slices.Contains(b.stores, c.Name) {
			entered = append(entered, c.Name)
			if !slices.Contains(m.stores, c.Name) {
				m.stores = append(m.stores, c.Name)
			}
		}
	}
	for _, n := range b.callers {
		for _, op := range b.ops {
			found := slices.IndexFunc(m.cells, func(c cell) bool { return c.callers == n && c.op == op })
			if found < 0 {
				m.cells = append(m.cells, cell{n, op, entered})
				continue
			}
			for _, name := range entered {
				if !slices.Contains(m.cells[found].stores, name) {
					m.cells[found].stores = append(m.cells[found].stores, name)
				}
			}
		}
	}
}

func (m *match) callers() (most int) {
	for _, c := range m.cells {
		most = max(most, c.callers)
	}
	return most
}

// turns counts them, and estimate says how long they take, with the making of rows and what lies between turns.
func (o options) turns(matches []*match) (n int) {
	for _, m := range matches {
		for _, c := range m.cells {
			n += len(c.stores) * o.rounds
		}
	}
	return n
}

func (o options) estimate(matches []*match) time.Duration {
	d := time.Duration(o.turns(matches)) * (o.window.Warmup + o.window.Length + 100*time.Millisecond)
	for _, m := range matches {
		d += time.Duration(len(m.stores)) * 2 * time.Second
		for _, c := range m.cells {
			if slices.Contains(c.stores, "pgbench") {
				d += time.Duration(o.rounds) * (stores.PgbenchWarmup(c.callers) + time.Second)
			}
		}
	}
	return d + 5*time.Second
}

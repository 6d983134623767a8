// Package report writes what was measured: a table on the terminal and as Markdown, JSON with every figure, SVG charts,
// and the table of targets.
//
// result.go is what there is to report, table.go, chart.go and targets.go what is made of it, files.go writes it.
package report

import (
	"time"

	"github.com/entsession/entsession/bench/internal/measure"
)

// Result is one run. It is what the JSON file holds.
type Result struct {
	Began       time.Time         `json:"began"`
	Took        string            `json:"took"`
	Interrupted bool              `json:"interrupted,omitempty"`
	Command     []string          `json:"command"`
	Peer        string            `json:"peer"` // with which ratios compare
	Round       string            `json:"round"`
	Warmup      string            `json:"warmup"`
	Rounds      int               `json:"rounds"`
	Conns       int               `json:"connections"` // that each store may have on a server
	Machine     Machine           `json:"machine"`
	Servers     map[string]Server `json:"servers"`
	Modules     map[string]string `json:"modules"`
	Stores      map[string]string `json:"stores"`
	Cells       []Cell            `json:"cells"`
}

// Machine is where it ran.
type Machine struct {
	Go         string  `json:"go"`
	Kernel     string  `json:"kernel"`
	CPU        string  `json:"cpu"`
	CPUs       int     `json:"cpus"`
	FlushMicro float64 `json:"flush_microseconds"` // median time of a write of 8 kB and its fdatasync
}

// Server is a database server and what it was told.
type Server struct {
	Version  string `json:"version"`
	Settings string `json:"settings"`
}

// Cell is a place in the matrix.
type Cell struct {
	DB      string   `json:"db"`
	Net     int      `json:"net_ms"`
	Payload int      `json:"payload_bytes"`
	Rows    int      `json:"rows"`
	Callers int      `json:"callers"`
	Op      string   `json:"op"`
	Error   string   `json:"error,omitempty"` // why it was abandoned
	Stores  []Figure `json:"stores"`
}

// Figure is what one store reached in a cell. Latencies and CPU are in microseconds for each call, CPU, Allocs and Bytes are this
// process's; pgbench has none.
type Figure struct {
	Store      string          `json:"store"`
	Throughput measure.Spread  `json:"calls_per_second"`
	Ratio      *measure.Spread `json:"ratio_to_peer,omitempty"`
	P50        measure.Spread  `json:"p50_microseconds"`
	P99        measure.Spread  `json:"p99_microseconds"`
	CPU        measure.Spread  `json:"cpu_microseconds"`
	Allocs     measure.Spread  `json:"allocs"`
	Bytes      measure.Spread  `json:"alloc_bytes"`
	Conns      int             `json:"connections"` // at most, of all rounds
	Rounds     []measure.Round `json:"rounds"`
}

// The figures of a round.
var (
	Throughput = measure.Round.Throughput
	P50        = func(r measure.Round) float64 { return r.P50 }
	P99        = func(r measure.Round) float64 { return r.P99 }
	CPU        = func(r measure.Round) float64 { return r.CPU }
	Allocs     = func(r measure.Round) float64 { return r.Allocs }
	Bytes      = func(r measure.Round) float64 { return r.Bytes }
)

// Add adds a store's rounds to the cell.
func (c *Cell) Add(store string, rounds []measure.Round) {
	f := Figure{
		Store: store, Throughput: measure.Of(rounds, Throughput), P50: measure.Of(rounds, P50), P99: measure.Of(rounds, P99),
		CPU: measure.Of(rounds, CPU), Allocs: measure.Of(rounds, Allocs), Bytes: measure.Of(rounds, Bytes), Rounds: rounds,
	}
	for _, r := range rounds {
		f.Conns = max(f.Conns, r.Conns)
	}
	c.Stores = append(c.Stores, f)
}

// Compare fills in the ratios.
func (c *Cell) Compare(peer string) {
	p := c.Store(peer)
	if p == nil {
		return
	}
	for i := range c.Stores {
		if f := &c.Stores[i]; f.Store != peer {
			ratio := measure.Ratio(f.Rounds, p.Rounds, Throughput)
			f.Ratio = &ratio
		}
	}
}

// Store finds a store's figures; nil when it wasn't measured.
func (c *Cell) Store(name string) *Figure {
	for i := range c.Stores {
		if c.Stores[i].Store == name {
			return &c.Stores[i]
		}
	}
	return nil
}

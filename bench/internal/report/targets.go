package report

import (
	"fmt"
	"io"

	"github.com/entsession/entsession/bench/internal/measure"
)

// Target is a floor (or a roof) that this module's store is to reach in relation to a peer.
type Target struct {
	DB, Op  string
	Net     int
	Callers int
	Peer    string
	Figure  string // throughput, p99 or allocs
	Limit   float64
}

// The figures that targets are about.
const (
	figureThroughput = "throughput"
	figureP99        = "p99 latency"
	figureAllocs     = "allocations"
)

var ops = []string{"load", "save", "mix"}

// Targets are all of them.
func Targets() (out []Target) {
	floor := func(db, op string, net, callers int, peer string, limit float64) {
		t := Target{db, op, net, callers, peer, figureThroughput, limit}
		out = append(out, t)
		t.Figure, t.Limit = figureP99, 1
		out = append(out, t)
	}
	for _, net := range []int{0, 1} {
		for _, callers := range []int{1, 8} {
			for _, op := range ops {
				floor("postgres", op, net, callers, "scs", 1)
			}
		}
	}
	for _, many := range []struct {
		callers int
		limits  [3]float64
	}{{64, [3]float64{2.2, 3.0, 2.6}}, {256, [3]float64{3.3, 5.0, 4.0}}} {
		for i, op := range ops {
			floor("postgres", op, 0, many.callers, "scs", many.limits[i])
		}
	}
	floor("postgres", "load", 0, 256, "scs-redis", 1.8)
	floor("postgres", "mix", 0, 256, "scs-redis", 1.3)
	floor("sqlite", "save", 0, 64, "scs", 10)
	floor("sqlite", "mix", 0, 64, "scs", 2.5)
	for _, op := range ops {
		floor("mariadb", op, 0, 64, "scs", 2)
	}
	for _, op := range []string{"load", "save"} {
		out = append(out, Target{"postgres", op, 0, 64, "scs", figureAllocs, 1})
	}
	return out
}

// of finds the ratio that a target is about.
func (t Target) of(cells []Cell, payload int) (measure.Spread, bool) {
	for i := range cells {
		c := &cells[i]
		if c.DB != t.DB || c.Op != t.Op || c.Net != t.Net || c.Callers != t.Callers || c.Payload != payload || c.Error != "" {
			continue
		}
		ours, peer := c.Store("ours"), c.Store(t.Peer)
		if ours == nil || peer == nil {
			continue
		}
		figure := map[string]func(measure.Round) float64{figureThroughput: Throughput, figureP99: P99, figureAllocs: Allocs}[t.Figure]
		return measure.Ratio(ours.Rounds, peer.Rounds, figure), true
	}
	return measure.Spread{}, false
}

func (t Target) passed(v float64) bool {
	switch t.Figure {
	case figureP99:
		return v <= t.Limit
	case figureAllocs:
		return v < t.Limit
	}
	return v >= t.Limit
}

func (t Target) want() string {
	return map[string]string{figureThroughput: "≥ ", figureP99: "≤ ", figureAllocs: "< "}[t.Figure] + ratio(t.Limit)
}

// Targets writes which targets were reached, for each payload that was measured. It returns how many were, of how many.
func (r *Result) Targets(w io.Writer) (reached, measured int) {
	fmt.Fprintf(w, "# Targets\n\nRatios of the medians of this module's store and the peer, with the range of the middle half of the rounds' ratios.\n")
	fmt.Fprintf(w, "Throughput: higher is better; latency and allocations: lower is better.\n")
	for _, payload := range r.payloads() {
		fmt.Fprintf(w, "\n## %d bytes\n\n| database | net | callers | op | peer | figure | wanted | ratio | p25–p75 | |\n|:--|--:|--:|:--|:--|:--|--:|--:|--:|:--|\n", payload)
		missing := 0
		for _, t := range Targets() {
			got, ok := t.of(r.Cells, payload)
			if !ok {
				missing++
				continue
			}
			verdict := "PASS"
			measured++
			if t.passed(got.Median) {
				reached++
			} else {
				verdict = "**below**"
				if t.Figure != figureThroughput {
					verdict = "**above**"
				}
			}
			fmt.Fprintf(w, "| %s | %d ms | %d | %s | %s | %s | %s | %s | %s | %s |\n", t.DB, t.Net, t.Callers, t.Op, t.Peer,
				t.Figure, t.want(), ratio(got.Median), span(got, ratio), verdict)
		}
		if missing > 0 {
			fmt.Fprintf(w, "\n%d targets were not measured in this run: `-matrix targets` measures all.\n", missing)
		}
	}
	fmt.Fprintf(w, "\n%d of %d reached.\n", reached, measured)
	return reached, measured
}

func (r *Result) payloads() (out []int) {
	seen := map[int]bool{}
	for _, c := range r.Cells {
		if !seen[c.Payload] {
			seen[c.Payload] = true
			out = append(out, c.Payload)
		}
	}
	return out
}

package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/bench/internal/measure"
)

// rounds of so many calls in a second.
func rounds(latency, allocs float64, ops ...int64) (out []measure.Round) {
	for _, n := range ops {
		out = append(out, measure.Round{Ops: n, Seconds: 1, P50: latency / 2, P99: latency, CPU: 10, Allocs: allocs, Conns: 16})
	}
	return out
}

func result() *Result {
	r := &Result{Peer: "scs", Rounds: 3, Servers: map[string]Server{"postgres": {"15", "fsync=on"}}, Stores: map[string]string{"ours": "this"}}
	for _, callers := range []int{64, 256} {
		for _, op := range ops {
			c := Cell{DB: "postgres", Payload: 512, Rows: 10, Callers: callers, Op: op}
			c.Add("ours", rounds(900, 9, 29_000, 30_000, 36_000))
			c.Add("scs", rounds(1000, 10, 10_000, 10_000, 12_000))
			c.Compare("scs")
			r.Cells = append(r.Cells, c)
		}
	}
	return r
}

func TestCompare(t *testing.T) {
	t.Parallel()
	c := result().Cells[0]
	require.Equal(t, &measure.Spread{Median: 3, P25: 2.95, P75: 3}, c.Store("ours").Ratio)
	require.Nil(t, c.Store("scs").Ratio, "not with itself")
	require.Nil(t, c.Store("pgbench"))
	require.Equal(t, 16, c.Store("ours").Conns)
}

func TestTargets(t *testing.T) {
	t.Parallel()
	r := result()
	r.Cells[0].Stores[0].Rounds = rounds(1100, 10, 21_000) // load at 64: below in everything
	var b bytes.Buffer
	reached, measured := r.Targets(&b)
	text := b.String()
	for _, want := range []string{
		"| postgres | 0 ms | 64 | load | scs | throughput | ≥ 2.20 | 2.10 | 2.10–2.10 | **below** |",
		"| postgres | 0 ms | 64 | load | scs | p99 latency | ≤ 1.00 | 1.10 | 1.10–1.10 | **above** |",
		"| postgres | 0 ms | 64 | load | scs | allocations | < 1.00 | 1.00 | 1.00–1.00 | **above** |",
		"| postgres | 0 ms | 64 | save | scs | throughput | ≥ 3.00 | 3.00 | 2.95–3.00 | PASS |",
		"| postgres | 0 ms | 64 | save | scs | p99 latency | ≤ 1.00 | 0.90 | 0.90–0.90 | PASS |",
		"| postgres | 0 ms | 64 | save | scs | allocations | < 1.00 | 0.90 | 0.90–0.90 | PASS |",
		"| postgres | 0 ms | 256 | load | scs | throughput | ≥ 3.30 | 3.00 | 2.95–3.00 | **below** |",
	} {
		require.Contains(t, text, want)
	}
	require.Equal(t, 14, measured)
	require.Equal(t, strings.Count(text, "PASS"), reached)
	require.Equal(t, 8, reached)

	r.Cells[1].Error = "broken"
	_, measured = r.Targets(io.Discard)
	require.Equal(t, 11, measured, "an abandoned cell reaches nothing")
}

// TestWrite: all files are there and well-formed, and the JSON has every round.
func TestWrite(t *testing.T) {
	t.Parallel()
	r := result()
	r.Cells = append(r.Cells, Cell{DB: "postgres", Payload: 512, Callers: 1, Op: "load", Error: "scs: it broke"})
	dir := filepath.Join(t.TempDir(), "new")
	paths, err := r.Write(dir)
	require.NoError(t, err)
	require.Len(t, paths, 5)
	for _, path := range paths {
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		switch filepath.Ext(path) {
		case ".svg":
			wellFormed(t, content)
			require.Contains(t, string(content), "prefers-color-scheme: dark")
			require.Contains(t, string(content), "entsession")
			require.NotContains(t, string(content), "<script")
			require.NotContains(t, string(content), "NaN")
		case ".json":
			var back Result
			require.NoError(t, json.Unmarshal(content, &back))
			require.Equal(t, r.Cells, back.Cells)
		}
	}
	md, err := os.ReadFile(filepath.Join(dir, "results.md"))
	require.NoError(t, err)
	require.Contains(t, string(md), "| 64 | load | ours | 30,000 | 29,500–33,000 | 3.00 | 2.95–3.00 | 0.450 | 0.900 | 10.0 | 9.0 | 0.0 | 16 |")
	require.Contains(t, string(md), "**abandoned**: scs: it broke")
}

func wellFormed(t *testing.T, content []byte) {
	t.Helper()
	for d := xml.NewDecoder(bytes.NewReader(content)); ; {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		require.NoError(t, err)
	}
}

func TestScales(t *testing.T) {
	t.Parallel()
	y, ticks := linear(0, 43_000, 100, 200)
	require.Equal(t, []string{"0", "10k", "20k", "30k", "40k", "50k"}, texts(ticks))
	require.InDelta(t, 200, y(0), 1e-9)
	require.InDelta(t, 100, y(50_000), 1e-9)

	y, ticks = logarithmic(0.3, 40, 100, 200)
	require.Equal(t, []string{"0.2", "0.5", "1", "2", "5", "10", "20", "50"}, texts(ticks))
	require.InDelta(t, 200, y(0.2), 1e-9)
	require.InDelta(t, 100, y(50), 1e-9)
	y, _ = logarithmic(1, 1, 100, 200) // all values the same
	require.InDelta(t, 200, y(1), 1e-9)
}

func texts(ticks []tick) (out []string) {
	for _, t := range ticks {
		out = append(out, t.Text)
	}
	return out
}

package report

import (
	"bytes"
	"fmt"
	"math"
	"slices"

	"github.com/entsession/entsession/bench/internal/measure"
)

// Chart is an SVG file.
type Chart struct {
	Name string
	SVG  []byte
}

// Charts of every comparison with at least two numbers of callers: throughput, and p99 latency.
func (r *Result) Charts() (out []Chart) {
	var order []string
	groups := map[string][]*Cell{}
	for i := range r.Cells {
		c := &r.Cells[i]
		if c.Error != "" {
			continue
		}
		key := fmt.Sprintf("%s-%dms-%dB", c.DB, c.Net, c.Payload)
		if c.DB == "sqlite" {
			key = fmt.Sprintf("%s-%dB", c.DB, c.Payload)
		}
		if groups[key] == nil {
			order = append(order, key)
		}
		groups[key] = append(groups[key], c)
	}
	for _, key := range order {
		cells := groups[key]
		if len(callersOf(cells)) < 2 {
			continue
		}
		out = append(out,
			Chart{"throughput-" + key + ".svg", r.draw(cells, "calls per second (higher is better)", func(f *Figure) measure.Spread { return f.Throughput }, linear)},
			Chart{"p99-" + key + ".svg", r.draw(cells, "99th percentile of latency in ms (lower is better)", func(f *Figure) measure.Spread { return inMS(f.P99) }, logarithmic)})
	}
	return out
}

func inMS(s measure.Spread) measure.Spread {
	return measure.Spread{Median: s.Median / 1e3, P25: s.P25 / 1e3, P75: s.P75 / 1e3}
}

// The size of things, in pixels.
const (
	width, height       = 960, 400
	left, gap           = 60, 52
	top, bottom         = 86, 310
	legendTop, legendIn = 366, 118
)

// canvas is what the template draws.
type canvas struct {
	Title, Subtitle, Alt string
	Width, Height        int
	Panels               []panel
	Legend               []legend
}

type panel struct {
	Title                 string
	X, Right, Top, Bottom float64
	Middle                float64
	Ticks                 []tick // of the vertical axis
	Callers               []tick
	Lines                 []line
}

type tick struct {
	At   float64
	Text string
}

type line struct {
	Store  string
	Class  string
	Path   string
	Points []point
}

type point struct{ X, Y, Low, High float64 }

type legend struct {
	Class, Text string
	X, Y        float64
}

func (r *Result) draw(cells []*Cell, what string, of func(*Figure) measure.Spread, s scale) []byte {
	first := cells[0]
	c := canvas{
		Title:    names[first.DB] + ": " + what,
		Subtitle: fmt.Sprintf("%s; median of %d rounds and range of the middle half; %d CPUs shared by client and server", first.Title(), r.Rounds, r.Machine.CPUs),
		Width:    width, Height: height,
	}
	c.Alt = c.Title + ". " + c.Subtitle
	callers := callersOf(cells)
	var shown []string
	for _, op := range ops {
		if slices.ContainsFunc(cells, func(c *Cell) bool { return c.Op == op }) {
			shown = append(shown, op)
		}
	}
	each := (width - left - 12 - float64(len(shown)-1)*gap) / float64(len(shown))
	var stores []string
	for i, op := range shown {
		p := panel{Title: titles[op], X: left + float64(i)*(each+gap), Top: top, Bottom: bottom}
		p.Right, p.Middle = p.X+each, p.X+each/2
		p.fill(cells, op, callers, of, s, &stores)
		c.Panels = append(c.Panels, p)
	}
	slices.SortFunc(stores, func(a, b string) int { return slices.Index(storeOrder, a) - slices.Index(storeOrder, b) })
	for i, name := range stores {
		c.Legend = append(c.Legend, legend{class(name), label(name), left + float64(i)*legendIn - 16, legendTop})
	}
	var b bytes.Buffer
	if err := svg.Execute(&b, c); err != nil {
		panic(err) // of the template itself
	}
	return b.Bytes()
}

func (p *panel) fill(cells []*Cell, op string, callers []int, of func(*Figure) measure.Spread, s scale, stores *[]string) {
	x := func(n int) float64 {
		step := (p.Right - p.X) / float64(len(callers))
		return p.X + step*(float64(slices.Index(callers, n))+0.5)
	}
	low, high := math.Inf(1), 0.0
	for _, c := range cells {
		for i := range c.Stores {
			if v := of(&c.Stores[i]); c.Op == op {
				low, high = min(low, v.P25), max(high, v.P75)
			}
		}
	}
	y, ticks := s(low, high, p.Top, p.Bottom)
	p.Ticks = ticks
	for _, n := range callers {
		p.Callers = append(p.Callers, tick{x(n), fmt.Sprint(n)})
	}
	lines := map[string]*line{}
	for _, n := range callers { // in order, whatever the order of the cells
		for _, c := range cells {
			if c.Op != op || c.Callers != n {
				continue
			}
			for i := range c.Stores {
				f := &c.Stores[i]
				if lines[f.Store] == nil {
					lines[f.Store] = &line{Store: f.Store, Class: class(f.Store)}
				}
				v, l := of(f), lines[f.Store]
				at := point{x(n), y(v.Median), y(v.P25), y(v.P75)}
				l.Path += fmt.Sprintf("%c%.1f %.1f", "ML"[min(len(l.Points), 1)], at.X, at.Y)
				l.Points = append(l.Points, at)
			}
		}
	}
	for _, name := range storeOrder {
		if l := lines[name]; l != nil {
			p.Lines = append([]line{*l}, p.Lines...) // ours is drawn last, on top
			if !slices.Contains(*stores, name) {
				*stores = append(*stores, name)
			}
		}
	}
}

func callersOf(cells []*Cell) (out []int) {
	for _, c := range cells {
		if !slices.Contains(out, c.Callers) {
			out = append(out, c.Callers)
		}
	}
	slices.Sort(out)
	return out
}

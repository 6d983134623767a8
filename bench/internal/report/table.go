package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/entsession/entsession/bench/internal/measure"
)

var heads = []string{"callers", "op", "store", "calls/s", "p25–p75", "× peer", "p25–p75", "p50 ms", "p99 ms", "CPU µs", "allocs", "kB", "conns"}

// rows of a cell, one for each store.
func (c *Cell) rows() (rows [][]string) {
	for i, f := range c.Stores {
		row := []string{"", "", f.Store, count(f.Throughput.Median), span(f.Throughput, count), "", "",
			ms(f.P50.Median), ms(f.P99.Median)}
		if i == 0 {
			row[0], row[1] = fmt.Sprint(c.Callers), c.Op
		}
		if f.Ratio != nil {
			row[5], row[6] = ratio(f.Ratio.Median), span(*f.Ratio, ratio)
		}
		if f.CPU.Median > 0 {
			row = append(row, fmt.Sprintf("%.1f", f.CPU.Median), fmt.Sprintf("%.1f", f.Allocs.Median), fmt.Sprintf("%.1f", f.Bytes.Median/1024))
		} else {
			row = append(row, "", "", "")
		}
		rows = append(rows, append(row, fmt.Sprint(f.Conns)))
	}
	return rows
}

// Title of the comparison that a cell belongs to.
func (c *Cell) Title() string {
	way := "Unix socket"
	switch {
	case c.DB == "sqlite":
		way = "file"
	case c.Net > 0:
		way = fmt.Sprintf("%d ms there and back", c.Net)
	}
	return fmt.Sprintf("%s, %s, %d bytes, %d rows", names[c.DB], way, c.Payload, c.Rows)
}

// Terminal prints a cell, with the heads if it is the first of its comparison.
func (c *Cell) Terminal(w io.Writer, first bool) {
	if first {
		fmt.Fprintf(w, "\n%s\n", c.Title())
		printRow(w, heads)
	}
	for _, row := range c.rows() {
		printRow(w, row)
	}
	if c.Error != "" {
		fmt.Fprintf(w, "!!! %d callers, %s ABANDONED: %s\n", c.Callers, c.Op, c.Error)
	}
}

var widths = []int{7, 4, 12, 9, 17, 6, 11, 8, 8, 7, 7, 7, 5}

func printRow(w io.Writer, cells []string) {
	line := ""
	for i, cell := range cells {
		pad := strings.Repeat(" ", max(0, widths[i]-len([]rune(cell))))
		if i == 2 || i == 1 {
			line += cell + pad + "  " // names to the left
		} else {
			line += pad + cell + "  "
		}
	}
	fmt.Fprintln(w, strings.TrimRight(line, " "))
}

// Markdown writes all cells, a table for each comparison.
func (r *Result) Markdown(w io.Writer) {
	fmt.Fprintf(w, "# Benchmark results\n\n")
	r.setup(w)
	fmt.Fprintf(w, "\nMedians of %d rounds of %s, and the range of the middle half. × is throughput in relation to %s.\n", r.Rounds, r.Round, r.Peer)
	fmt.Fprintf(w, "Latencies are of one call; CPU, allocations and kB are the client's, for each call.\n")
	title := ""
	for i := range r.Cells {
		c := &r.Cells[i]
		if t := c.Title(); t != title {
			title = t
			fmt.Fprintf(w, "\n## %s\n\n| %s |\n|--:|:--|:--|%s\n", title, strings.Join(heads, " | "), strings.Repeat("--:|", len(heads)-3))
		}
		for _, row := range c.rows() {
			fmt.Fprintf(w, "| %s |\n", strings.Join(row, " | "))
		}
		if c.Error != "" {
			fmt.Fprintf(w, "| %d | %s | **abandoned**: %s |\n", c.Callers, c.Op, strings.ReplaceAll(c.Error, "\n", " "))
		}
	}
}

func count(v float64) string {
	s := fmt.Sprintf("%.0f", v)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func ratio(v float64) string { return fmt.Sprintf("%.2f", v) }

func ms(micro float64) string {
	if micro < 10_000 {
		return fmt.Sprintf("%.3f", micro/1e3)
	}
	return fmt.Sprintf("%.1f", micro/1e3)
}

func span(s measure.Spread, f func(float64) string) string { return f(s.P25) + "–" + f(s.P75) }

package cli

import "strings"

// lookAhead is how many rows decide how wide a table's columns are. What comes later has to make do: a list of millions
// is not kept in memory for the sake of its looks.
const lookAhead = 200

// grid writes a table for a person.
type grid struct {
	write  func(format string, args ...any) error
	right  map[int]bool // columns that are numbers
	held   [][]string
	widths []int
	begun  bool
}

// row adds a row; the first is the header.
func (g *grid) row(fields ...string) error {
	if g.begun {
		return g.line(fields)
	}
	g.held = append(g.held, fields)
	if len(g.held) > lookAhead {
		return g.flush()
	}
	return nil
}

// flush writes what is held back.
func (g *grid) flush() error {
	if g.begun {
		return nil
	}
	g.begun = true
	for _, fields := range g.held {
		for i, f := range fields {
			if i == len(g.widths) {
				g.widths = append(g.widths, 0)
			}
			g.widths[i] = max(g.widths[i], cells(f))
		}
	}
	for _, fields := range g.held {
		if err := g.line(fields); err != nil {
			return err
		}
	}
	g.held = nil
	return nil
}

func (g *grid) line(fields []string) error {
	var b strings.Builder
	for i, f := range fields {
		if i > 0 {
			b.WriteString("  ")
		}
		pad := ""
		if i < len(g.widths) {
			pad = strings.Repeat(" ", max(0, g.widths[i]-cells(f)))
		}
		if g.right[i] {
			b.WriteString(pad + f)
		} else {
			b.WriteString(f + pad)
		}
	}
	return g.write("%s\n", strings.TrimRight(b.String(), " "))
}

// grid makes a table; the columns given are numbers.
func (a *app) grid(right ...int) *grid {
	g := &grid{write: a.print, right: map[int]bool{}}
	for _, i := range right {
		g.right[i] = true
	}
	return g
}

package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/entsession/entsession/bench/internal/report"
)

// progress shows on a terminal how far the run is, in one line that is written over and over.
type progress struct {
	to          io.Writer // nil when nobody looks
	done, turns int
	began       time.Time
	shown       int
}

func newProgress(turns int) *progress {
	p := &progress{turns: turns, began: time.Now()}
	if info, err := os.Stderr.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		p.to = os.Stderr
	}
	return p
}

// at is called before each turn.
func (p *progress) at(c report.Cell, store string) {
	if p.to != nil {
		left := ""
		if p.done > 0 {
			each := time.Since(p.began) / time.Duration(p.done)
			left = fmt.Sprintf(", %v left", (each * time.Duration(p.turns-p.done)).Round(time.Second))
		}
		p.show(fmt.Sprintf("turn %d of %d: %s, %d ms, %d bytes, %d callers, %s, %s%s",
			p.done+1, p.turns, c.DB, c.Net, c.Payload, c.Callers, c.Op, store, left))
	}
	p.done++
}

// clear makes room for other output.
func (p *progress) clear() {
	if p.to != nil {
		p.show("")
		fmt.Fprint(p.to, "\r")
	}
}

func (p *progress) show(line string) {
	fmt.Fprint(p.to, "\r"+line+strings.Repeat(" ", max(0, p.shown-len(line))))
	p.shown = len(line)
}

package cli

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/dustin/go-humanize"
)

// How often progress is shown: on a terminal in place, elsewhere only when the work takes long.
const (
	terminalEvery = 100 * time.Millisecond
	logEvery      = 10 * time.Second
)

// progress shows how far the work is. It is also the store's log: the purge reports each batch there.
type progress struct {
	app *app

	mu    sync.Mutex
	last  time.Time
	shown int // columns of the terminal that the line takes
}

func (a *app) progress() *progress { return &progress{app: a, last: time.Now()} }

// show replaces the line on a terminal, or adds one.
func (p *progress) show(format string, args ...any) {
	a := p.app
	if a.quiet || a.json {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	every := logEvery
	if a.ErrIsTerminal {
		every = terminalEvery
	}
	if time.Since(p.last) < every {
		return
	}
	p.last = time.Now()
	line := fmt.Sprintf(format, args...)
	if !a.ErrIsTerminal {
		fmt.Fprintln(a.Err, line)
		return
	}
	fmt.Fprint(a.Err, "\r", line, strings.Repeat(" ", max(0, p.shown-cells(line))))
	p.shown = cells(line)
}

// done takes the line away.
func (p *progress) done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shown > 0 {
		const interrupt = len("^C") // which the terminal writes behind the line
		fmt.Fprint(p.app.Err, "\r", strings.Repeat(" ", p.shown+interrupt), "\r")
		p.shown = 0
	}
}

// Enabled implements slog.Handler.
func (p *progress) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelDebug }

// Handle implements slog.Handler: a total is progress, a warning is passed on.
func (p *progress) Handle(_ context.Context, r slog.Record) error {
	if r.Level >= slog.LevelWarn {
		p.done()
		if !p.app.quiet && !p.app.json {
			fmt.Fprintln(p.app.Err, printable(r.Message))
		}
		return nil
	}
	r.Attrs(func(attr slog.Attr) bool {
		if attr.Key == "total" && attr.Value.Kind() == slog.KindInt64 {
			p.show("%s rows purged …", humanize.Comma(attr.Value.Int64()))
		}
		return true
	})
	return nil
}

// WithAttrs implements slog.Handler.
func (p *progress) WithAttrs([]slog.Attr) slog.Handler { return p }

// WithGroup implements slog.Handler.
func (p *progress) WithGroup(string) slog.Handler { return p }

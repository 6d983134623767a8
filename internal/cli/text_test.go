package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPrintable(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                         "",
		"plain text, ünïcode, 日本":  "plain text, ünïcode, 日本",
		"a\nb\tc":                  `a\nb\tc`,
		"\x1b]0;title\a":           `\x1b]0;title\a`,
		"bad \xff byte":            `bad \xff byte`,
		"it's \"quoted\" \\ slash": `it's "quoted" \ slash`,
		"right\u202eleft":          `right\u202eleft`,
		"c1 \u009b31m":             `c1 \u009b31m`,
		"replaced \ufffd":          "replaced \ufffd",
	} {
		require.Equal(t, want, printable(in))
	}
}

func TestShorten(t *testing.T) {
	t.Parallel()
	require.Equal(t, "short", shorten("short", 5))
	require.Equal(t, "long…", shorten("longer", 5))
	require.Equal(t, "日本…", shorten("日本語日本語", 5))
	require.Equal(t, 4, cells("日本"))
	require.Equal(t, 1, cells("e\u0301"))
}

func TestTimes(t *testing.T) {
	t.Parallel()
	require.Equal(t, "-", localTime(time.Time{}))
	require.Nil(t, jsonTime(time.Time{}))
	late := time.Unix(1<<33, 0)
	require.Equal(t, "2242-03-16T12:56:32Z", *jsonTime(late))
	parsed, err := time.ParseInLocation("2006-01-02 15:04:05 MST", localTime(late), time.Local)
	require.NoError(t, err)
	require.True(t, parsed.Equal(late))
}

func TestGrid(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	g := &grid{right: map[int]bool{1: true}, write: func(format string, args ...any) error {
		_, err := fmt.Fprintf(&out, format, args...)
		return err
	}}
	require.NoError(t, g.row("A", "N", "B"))
	require.NoError(t, g.row("日本", "5", ""))
	require.NoError(t, g.row("x", "10", "end"))
	require.NoError(t, g.flush())
	require.NoError(t, g.row("late", "1", "y"))
	require.Equal(t, "A      N  B\n日本   5\nx     10  end\nlate   1  y\n", out.String())
	require.NoError(t, g.flush())
}

func TestProgress(t *testing.T) {
	t.Parallel()
	var errs bytes.Buffer
	a := &app{Streams: Streams{Err: &errs, ErrIsTerminal: true}}
	p := a.progress()
	p.show("too early")
	require.Empty(t, errs.String())

	log := slog.New(p)
	p.last = time.Time{}
	log.Debug("purged a batch", slog.Int("deleted", 500), slog.Int("total", 1500))
	require.Equal(t, "\r1,500 rows purged …", errs.String())
	errs.Reset()
	p.last = time.Time{}
	p.show("%d", 7)
	require.Equal(t, "\r7"+strings.Repeat(" ", 18), errs.String(), "covers the longer line")
	errs.Reset()
	log.Warn("careful\x1b")
	require.Equal(t, "\r   \rcareful\\x1b\n", errs.String())
	errs.Reset()
	p.done()
	require.Empty(t, errs.String(), "nothing to take away any more")

	a.ErrIsTerminal = false
	p.last = time.Now().Add(-logEvery)
	p.show("a line")
	require.Equal(t, "a line\n", errs.String())
	errs.Reset()
	for _, silent := range []*app{{Streams: a.Streams, quiet: true}, {Streams: a.Streams, json: true}} {
		p := silent.progress()
		p.last = time.Time{}
		p.show("a line")
		require.Empty(t, errs.String())
	}
}

// TestRemark shows that a remark does not overtake the output.
func TestRemark(t *testing.T) {
	t.Parallel()
	var screen bytes.Buffer
	a := &app{Streams: Streams{Out: &screen, Err: &screen}, out: bufio.NewWriter(&screen)}
	require.NoError(t, a.print("output\n"))
	a.remark("remark")
	require.Equal(t, "output\nremark\n", screen.String())
}

func TestReadLine(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	in := make(blocked)
	t.Cleanup(func() { close(in) })
	cancel()
	_, err := (&app{Streams: Streams{In: in}}).readLine(ctx)
	require.ErrorIs(t, err, context.Canceled)
}

// blocked is an input where nothing comes.
type blocked chan struct{}

func (b blocked) Read([]byte) (int, error) { <-b; return 0, errors.New("closed") }

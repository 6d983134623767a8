package main

import (
	"testing"

	"github.com/entsession/entsession/internal/snippets"
)

// TestSnippets compiles the snippets of docs/observability.md.
func TestSnippets(t *testing.T) {
	t.Parallel()
	snippets.Compile(t, `
import (
	"context"
	"time"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/otelsession"
)

var (
	ctx    context.Context
	cfg    entsession.Config
	statsd interface{ Timing(string, time.Duration) }
)
`, snippets.Of(t, "../../docs/observability.md")...)
}

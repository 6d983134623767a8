package main

import (
	"testing"

	"github.com/entsession/entsession/internal/snippets"
)

// TestDocs compiles what pages show that needs an application's own schema.
func TestDocs(t *testing.T) {
	t.Parallel()
	for page, prelude := range map[string]string{
		"../../docs/own-schema.md": `
import (
	"context"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/examples/ownschema/ent/migrate"
)

var (
	ctx   context.Context
	data  []byte
	drv   dialect.Driver
	store *entsession.Store
)
`,
		"../../docs/faults.md": `
import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/entsession/entsession"
)

var store *entsession.Store
`,
	} {
		t.Run(page, func(t *testing.T) {
			t.Parallel()
			snippets.Compile(t, prelude, snippets.Of(t, page)...)
		})
	}
}

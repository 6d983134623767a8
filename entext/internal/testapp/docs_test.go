package testapp

import (
	"testing"

	"github.com/entsession/entsession/internal/snippets"
)

// TestDocs compiles what the manual shows, and that what it says does not compile doesn't.
func TestDocs(t *testing.T) {
	t.Parallel()
	snippets.Compile(t, `
import (
	"context"

	"entgo.io/ent/dialect"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/entext/internal/testapp/ent"
	"github.com/entsession/entsession/entext/internal/testapp/ent/session"
)

var (
	ctx        context.Context
	cookie, id string
	data       []byte
	drv        dialect.Driver
	client     *ent.Client
	store      *entsession.Store
	sessions   *ent.SessionStore
	staff      *ent.StaffLoginStore
)
`, snippets.Of(t, "../../../docs/typed-store.md")...)
}

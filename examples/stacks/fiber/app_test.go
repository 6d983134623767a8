package fiber_test

import (
	"net"
	"net/http"
	"testing"

	"github.com/gofiber/fiber/v3"

	"github.com/entsession/entsession"
	app "github.com/entsession/entsession/examples/stacks/fiber"
	"github.com/entsession/entsession/examples/stacks/flow"
	"github.com/entsession/entsession/internal/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

func TestFlow(t *testing.T) {
	flow.Run(t, flow.Stack{
		Start: func(t *testing.T, store *entsession.Store, hold func()) string {
			app := app.New(store, hold)
			return flow.Listener(t, func(l net.Listener) error { return app.Listener(l, fiber.ListenConfig{DisableStartupMessage: true}) }, app.Shutdown)
		},
		Merges: true, Columns: true, Error: http.StatusInternalServerError,
	})
}

package fiber_test

import (
	"net"
	"net/http"
	"testing"

	"github.com/gofiber/fiber/v3"
	"github.com/stretchr/testify/require"

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
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			done := make(chan error, 1)
			go func() { done <- app.Listener(l, fiber.ListenConfig{DisableStartupMessage: true}) }()
			t.Cleanup(func() {
				require.NoError(t, app.Shutdown())
				require.NoError(t, <-done)
			})
			return "http://" + l.Addr().String()
		},
		Merges: true, Columns: true, Error: http.StatusInternalServerError,
	})
}

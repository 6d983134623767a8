package fiberv2_test

import (
	"net/http"
	"testing"

	"github.com/entsession/entsession"
	app "github.com/entsession/entsession/examples/stacks/fiberv2"
	"github.com/entsession/entsession/examples/stacks/flow"
	"github.com/entsession/entsession/internal/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

func TestFlow(t *testing.T) {
	flow.Run(t, flow.Stack{
		Start: func(t *testing.T, store *entsession.Store, hold func()) string {
			app := app.New(store, hold)
			return flow.Listener(t, app.Listener, app.Shutdown)
		},
		Columns: true, Error: http.StatusInternalServerError,
	})
}

package echo_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/examples/stacks/echo"
	"github.com/entsession/entsession/examples/stacks/flow"
	"github.com/entsession/entsession/internal/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

func TestFlow(t *testing.T) {
	flow.Run(t, flow.Stack{
		Start: func(t *testing.T, store *entsession.Store, hold func()) string {
			server := httptest.NewServer(echo.New(store, hold))
			t.Cleanup(server.Close)
			return server.URL
		},
		Merges: true, Columns: true, Error: http.StatusInternalServerError,
	})
}

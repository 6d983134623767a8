package scs_test

import (
	"net/http"
	"testing"

	"github.com/entsession/entsession/examples/stacks/flow"
	"github.com/entsession/entsession/examples/stacks/scs"
	"github.com/entsession/entsession/internal/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

func TestFlow(t *testing.T) {
	flow.Run(t, flow.Stack{
		Start:  flow.Handler(scs.New),
		Merges: true, Columns: true, Error: http.StatusInternalServerError,
	})
}

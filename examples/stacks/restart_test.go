package stacks

import (
	"testing"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/examples/stacks/echo"
	"github.com/entsession/entsession/examples/stacks/fiber"
	"github.com/entsession/entsession/examples/stacks/fiberv2"
	"github.com/entsession/entsession/examples/stacks/flow"
	"github.com/entsession/entsession/examples/stacks/gin"
	"github.com/entsession/entsession/examples/stacks/gorilla"
	"github.com/entsession/entsession/examples/stacks/scs"
	"github.com/entsession/entsession/internal/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

var stacks = map[string]flow.Stack{
	"scs":     {Start: flow.Handler(scs.New)},
	"gorilla": {Start: flow.Handler(gorilla.New)},
	"gin":     {Start: flow.Handler(gin.New)},
	"echo":    {Start: flow.Handler(echo.New)},
	"fiber": {Start: func(t *testing.T, store *entsession.Store, hold func()) string {
		return serveFiber(t, fiber.New(store, hold))
	}},
	"fiberv2": {Start: func(t *testing.T, store *entsession.Store, hold func()) string {
		return serveFiberV2(t, fiberv2.New(store, hold))
	}},
}

// TestRestart: while the database is away a request is an error, and after it the same cookie goes on, whatever the stack.
func TestRestart(t *testing.T) {
	t.Parallel()
	flow.Restart(t, stacks)
}

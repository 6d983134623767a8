package stacks

import (
	"net"
	"net/http"
	"testing"

	manager "github.com/alexedwards/scs/v2"
	fiber2 "github.com/gofiber/fiber/v2"
	fiber3 "github.com/gofiber/fiber/v3"
	"github.com/gorilla/sessions"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/examples/stacks/fiber"
	"github.com/entsession/entsession/examples/stacks/fiberv2"
	"github.com/entsession/entsession/examples/stacks/flow"
	"github.com/entsession/entsession/examples/stacks/gorilla"
	"github.com/entsession/entsession/examples/stacks/scs"
)

// What differs from the stacks' own stores, docs/adapters.md says too.

func TestBesideSCSInMemory(t *testing.T) {
	flow.Compare(t, stacks["scs"], func(t *testing.T, hold func()) string {
		return flow.Handler(func(*entsession.Store, func()) http.Handler { return scs.With(manager.New(), hold) })(t, nil, hold)
	}, flow.Differences{}, flow.Differences{Revives: true, Loses: true})
}

func TestBesideCookieStore(t *testing.T) {
	flow.Compare(t, stacks["gorilla"], func(t *testing.T, hold func()) string {
		none := func(*http.Request, *sessions.Session) error { return nil } // there is no id
		store := sessions.NewCookieStore([]byte("an authentication key of 32 bytes"))
		return flow.Handler(func(*entsession.Store, func()) http.Handler { return gorilla.With(store, none, hold) })(t, nil, hold)
	}, flow.Differences{}, flow.Differences{Revives: true, Loses: true, Keeps: true, Refuses: true})
}

func TestBesideFiberInMemory(t *testing.T) {
	flow.Compare(t, stacks["fiber"], func(t *testing.T, hold func()) string { return serveFiber(t, fiber.With(nil, hold)) },
		flow.Differences{}, flow.Differences{Revives: true, Loses: true})
}

func TestBesideFiberV2InMemory(t *testing.T) {
	flow.Compare(t, stacks["fiberv2"], func(t *testing.T, hold func()) string { return serveFiberV2(t, fiberv2.With(nil, hold)) },
		flow.Differences{Loses: true}, flow.Differences{Revives: true, Loses: true})
}

func serveFiber(t *testing.T, app *fiber3.App) string {
	return flow.Listener(t, func(l net.Listener) error { return app.Listener(l, fiber3.ListenConfig{DisableStartupMessage: true}) }, app.Shutdown)
}

func serveFiberV2(t *testing.T, app *fiber2.App) string {
	return flow.Listener(t, app.Listener, app.Shutdown)
}

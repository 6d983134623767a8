package stacks

import (
	"context"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	fiber3 "github.com/gofiber/fiber/v3"
	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/examples/stacks/echo"
	"github.com/entsession/entsession/examples/stacks/fiber"
	"github.com/entsession/entsession/examples/stacks/fiberv2"
	"github.com/entsession/entsession/examples/stacks/gin"
	"github.com/entsession/entsession/examples/stacks/gorilla"
	"github.com/entsession/entsession/examples/stacks/scs"
)

// deviceKey is what a middleware keeps the browser's name under.
type deviceKey struct{}

// TestColumnsFunc: what a middleware puts into a request's context gets into the columns, whatever the stack, at the first write, at the sign-in and after.
func TestColumnsFunc(t *testing.T) {
	t.Parallel()
	handler := func(app func(*entsession.Store, func()) http.Handler) func(*testing.T, *entsession.Store) string {
		return func(t *testing.T, store *entsession.Store) string {
			inner := app(store, nil)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				inner.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), deviceKey{}, r.UserAgent())))
			}))
			t.Cleanup(server.Close)
			return server.URL
		}
	}
	for name, serve := range map[string]func(*testing.T, *entsession.Store) string{
		"scs": handler(scs.New), "gorilla": handler(gorilla.New), "gin": handler(gin.New), "echo": handler(echo.New),
		"fiber": func(t *testing.T, store *entsession.Store) string {
			app := fiber3.New()
			app.Use(func(c fiber3.Ctx) error {
				c.Locals(deviceKey{}, strings.Clone(c.Get("User-Agent")))
				return c.Next()
			})
			app.Use("/", fiber.New(store, nil))
			return serveFiber(t, app)
		},
		"fiberv2": func(t *testing.T, store *entsession.Store) string { return serveFiberV2(t, fiberv2.New(store, nil)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, err := entsession.Open(t.Context(), entsession.Config{
				Driver: "sqlite", Database: filepath.Join(t.TempDir(), "sessions.db"), Params: map[string]string{"synchronous": "off"},
				OnConnect: []string{"CREATE TABLE IF NOT EXISTS sessions (id TEXT PRIMARY KEY, data TEXT, timeout INTEGER, version INTEGER NOT NULL DEFAULT 0, subject TEXT, device TEXT)"},
				ColumnsFunc: func(ctx context.Context) []entsession.Column {
					if device, ok := ctx.Value(deviceKey{}).(string); ok {
						return []entsession.Column{entsession.Set("device", device)}
					}
					return nil
				},
			})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, store.Close()) })
			url := serve(t, store)
			jar, err := cookiejar.New(nil)
			require.NoError(t, err)
			client := &http.Client{Jar: jar}
			t.Cleanup(client.CloseIdleConnections)
			for _, step := range [][2]string{{"/add?item=tea", "phone"}, {"/sign-in?user=ann", "laptop"}, {"/add?item=milk", "car"}} {
				req, err := http.NewRequest("POST", url+step[0], nil)
				require.NoError(t, err)
				req.Header.Set("User-Agent", step[1])
				res, err := client.Do(req)
				require.NoError(t, err)
				require.NoError(t, res.Body.Close())
				require.Equal(t, http.StatusOK, res.StatusCode)
				n := 0
				for s, err := range store.List(t.Context()) {
					require.NoError(t, err)
					device, err := entsession.Get[*string](s, "device")
					require.NoError(t, err)
					if n++; name == "fiberv2" { // it has no context
						require.Nil(t, device, step[0])
					} else {
						require.NotNil(t, device, step[0])
						require.Equal(t, step[1], *device, step[0])
					}
				}
				require.Equal(t, 1, n)
			}
		})
	}
}

package fiber_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/session"
	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/fiberstore"
	_ "github.com/entsession/entsession/sqlite"
)

var _ fiber.Storage = (*fiberstore.Storage)(nil)

func open(t *testing.T) *entsession.Store {
	t.Helper()
	store, err := entsession.Open(t.Context(), entsession.Config{Driver: "sqlite", Database: filepath.Join(t.TempDir(), "sessions.db"), Params: map[string]string{"synchronous": "off"}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	require.NoError(t, store.Migrate(t.Context()))
	return store
}

// request sends a request, and gives status, text and the session's cookie.
func request(t *testing.T, app *fiber.App, method, path, cookie string) (int, string, string) {
	t.Helper()
	req := httptest.NewRequest(method, path, nil)
	if cookie != "" {
		req.AddCookie(&http.Cookie{Name: "session_id", Value: cookie})
	}
	res, err := app.Test(req, fiber.TestConfig{Timeout: time.Minute})
	require.NoError(t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	for _, c := range res.Cookies() {
		cookie = c.Value
	}
	return res.StatusCode, string(text), cookie
}

// TestCollision: a generator that makes one id twice gives nobody another's session, and takes nobody's away.
func TestCollision(t *testing.T) {
	t.Parallel()
	app := fiber.New()
	app.Use(session.New(session.Config{Storage: fiberstore.New(open(t)), KeyGenerator: func() string { return "always-the-same" }}))
	app.Post("/", func(c fiber.Ctx) error {
		session.FromContext(c).Set("user", c.Query("user"))
		return nil
	})
	app.Get("/", func(c fiber.Ctx) error { return c.SendString(fmt.Sprint(session.FromContext(c).Get("user"))) })
	_, _, cookie := request(t, app, "POST", "/?user=ann", "")
	_, text, _ := request(t, app, "GET", "/", cookie)
	require.Equal(t, "ann", text)
	status, _, _ := request(t, app, "POST", "/?user=eve", "")
	require.Equal(t, http.StatusInternalServerError, status)
	_, text, _ = request(t, app, "GET", "/", cookie)
	require.Equal(t, "ann", text)
}

// TestAbsoluteTimeout: the middleware notes the time in every session; a visitor without values has no row nevertheless.
func TestAbsoluteTimeout(t *testing.T) {
	t.Parallel()
	store := open(t)
	app := fiber.New()
	app.Use(session.New(session.Config{Storage: fiberstore.New(store), IdleTimeout: time.Minute, AbsoluteTimeout: time.Hour}))
	app.Post("/", func(c fiber.Ctx) error {
		session.FromContext(c).Set("user", "ann")
		return nil
	})
	app.Get("/", func(c fiber.Ctx) error { return c.SendString(fmt.Sprint(session.FromContext(c).Get("user"))) })
	rows := func() int {
		n, err := store.Client().Session.Query().Count(t.Context())
		require.NoError(t, err)
		return n
	}
	_, _, cookie := request(t, app, "GET", "/", "")
	require.Zero(t, rows())
	_, _, cookie = request(t, app, "POST", "/", cookie)
	require.Equal(t, 1, rows())
	_, text, _ := request(t, app, "GET", "/", cookie)
	require.Equal(t, "ann", text)
}

func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "entsession-example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	store, err := entsession.Open(ctx, entsession.Config{Driver: "sqlite", Database: filepath.Join(dir, "sessions.db")})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	if err := store.Migrate(ctx); err != nil {
		log.Fatal(err)
	}

	app := fiber.New()
	app.Use(session.New(session.Config{Storage: fiberstore.New(store)}))
	app.Get("/", func(c fiber.Ctx) error {
		s := session.FromContext(c)
		visits, _ := s.Get("visits").(int)
		s.Set("visits", visits+1)
		return c.SendString(fmt.Sprintf("visit %d", visits+1))
	})

	request := httptest.NewRequest("GET", "/", nil)
	for range 2 {
		response, err := app.Test(request)
		if err != nil {
			log.Fatal(err)
		}
		text, err := io.ReadAll(response.Body)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(string(text))
		request = httptest.NewRequest("GET", "/", nil)
		for _, cookie := range response.Cookies() {
			request.AddCookie(cookie)
		}
	}
	// Output:
	// visit 1
	// visit 2
}

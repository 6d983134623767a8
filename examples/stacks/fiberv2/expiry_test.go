package fiberv2_test

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/session"
	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/fiberstore"
)

// TestExpiry: what docs/adapters.md says of how long a session of v2's lives.
func TestExpiry(t *testing.T) {
	t.Parallel()
	store, err := entsession.Open(t.Context(), entsession.Config{Driver: "sqlite", Database: filepath.Join(t.TempDir(), "sessions.db"), Params: map[string]string{"synchronous": "off"}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	require.NoError(t, store.Migrate(t.Context()))
	sessions := session.New(session.Config{Storage: fiberstore.New(store), Expiration: 20 * time.Minute})
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Get("/:what", func(c *fiber.Ctx) error {
		s, err := sessions.Get(c)
		if err != nil {
			return err
		}
		switch c.Params("what") {
		case "set":
			s.Set("n", 1)
		case "look":
			return nil
		case "long":
			s.SetExpiry(5 * time.Hour)
		}
		return s.Save()
	})
	var cookie *http.Cookie
	// visit gives how long the session is to live by the table after the request, at the most.
	visit := func(path string) time.Duration {
		req := httptest.NewRequest("GET", path, nil)
		if cookie != nil {
			req.AddCookie(cookie)
		}
		before := time.Now()
		res, err := app.Test(req, -1)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, fiber.StatusOK, res.StatusCode)
		if set := res.Cookies(); len(set) > 0 {
			cookie = set[0]
		}
		held, err := store.Load(t.Context(), cookie.Value)
		require.NoError(t, err)
		return held.Expires().Sub(before.Truncate(time.Second))
	}
	require.InDelta(t, 20*time.Minute, visit("/set"), float64(time.Minute))
	require.Equal(t, 20*60, cookie.MaxAge)
	require.InDelta(t, 5*time.Hour, visit("/long"), float64(time.Minute))
	require.Equal(t, 5*60*60, cookie.MaxAge)
	require.InDelta(t, 5*time.Hour, visit("/look"), float64(time.Minute), "a request that doesn't save renews nothing")
	require.InDelta(t, 20*time.Minute, visit("/save"), float64(time.Minute), "SetExpiry counted for one Save")
	require.Equal(t, 20*60, cookie.MaxAge)
	writes := func() (n uint64) {
		for _, lane := range store.Stats().Lanes {
			if lane.Name == "write" {
				n = lane.Alone + lane.Batched
			}
		}
		return n
	}
	before := writes()
	visit("/save")
	require.Equal(t, before+1, writes(), "every Save is a write")
}

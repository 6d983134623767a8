// Package fiber is a web application with fiber v3 and its session middleware.
package fiber

import (
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/recover"
	"github.com/gofiber/fiber/v3/middleware/session"

	"github.com/entsession/entsession"
	columns "github.com/entsession/entsession/ent/session"
	"github.com/entsession/entsession/fiberstore"
)

// New makes the application. It calls hold in a request to /slow, once the session is loaded.
func New(store *entsession.Store, hold func()) *fiber.App {
	storage := fiberstore.New(store)
	storage.Columns = func(values map[any]any) []entsession.Column {
		return []entsession.Column{entsession.Set(columns.FieldSubject, values["user"])}
	}
	return With(storage, hold)
}

// With makes the application with any storage; without one, sessions are kept in fiber's own memory.
func With(storage fiber.Storage, hold func()) *fiber.App {
	app := fiber.New()
	app.Use(recover.New()) // the session middleware panics when a session can't be loaded
	app.Use(session.New(session.Config{Storage: storage, IdleTimeout: 20 * time.Minute}))
	app.Get("/", func(c fiber.Ctx) error {
		s := session.FromContext(c)
		var items []string
		for _, key := range s.Keys() {
			if item, ok := strings.CutPrefix(key.(string), "item "); ok {
				items = append(items, item)
			}
		}
		sort.Strings(items)
		user, _ := s.Get("user").(string)
		return c.SendString(fmt.Sprintf("user %q items %q", user, items))
	})
	app.Post("/add", func(c fiber.Ctx) error {
		session.FromContext(c).Set("item "+c.Query("item"), true)
		return nil
	})
	app.Post("/sign-in", func(c fiber.Ctx) error {
		s := session.FromContext(c)
		s.Set("user", strings.Clone(c.Query("user")))
		return s.Regenerate()
	})
	app.Post("/sign-out", func(c fiber.Ctx) error { return session.FromContext(c).Destroy() })
	app.Post("/slow", func(c fiber.Ctx) error {
		hold()
		session.FromContext(c).Set("item slow", true)
		return nil
	})
	return app
}

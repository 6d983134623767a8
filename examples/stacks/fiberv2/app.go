// Package fiberv2 is a web application with fiber v2 and its sessions.
package fiberv2

import (
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/session"

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
	sessions := session.New(session.Config{Storage: storage, Expiration: 20 * time.Minute})
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Get("/", func(c *fiber.Ctx) error {
		s, err := sessions.Get(c)
		if err != nil {
			return err
		}
		var items []string
		for _, key := range s.Keys() {
			if item, ok := strings.CutPrefix(key, "item "); ok {
				items = append(items, item)
			}
		}
		sort.Strings(items)
		user, _ := s.Get("user").(string)
		return c.SendString(fmt.Sprintf("user %q items %q", user, items))
	})
	// change loads the session, and saves what is made of it.
	change := func(f func(*fiber.Ctx, *session.Session) error) fiber.Handler {
		return func(c *fiber.Ctx) error {
			s, err := sessions.Get(c)
			if err != nil {
				return err
			}
			if err := f(c, s); err != nil {
				return err
			}
			return s.Save()
		}
	}
	app.Post("/add", change(func(c *fiber.Ctx, s *session.Session) error {
		s.Set("item "+c.Query("item"), true)
		return nil
	}))
	app.Post("/sign-in", change(func(c *fiber.Ctx, s *session.Session) error {
		s.Set("user", strings.Clone(c.Query("user")))
		return s.Regenerate()
	}))
	app.Post("/sign-out", func(c *fiber.Ctx) error {
		s, err := sessions.Get(c)
		if err != nil {
			return err
		}
		return s.Destroy()
	})
	app.Post("/slow", change(func(c *fiber.Ctx, s *session.Session) error {
		hold()
		s.Set("item slow", true)
		return nil
	}))
	return app
}

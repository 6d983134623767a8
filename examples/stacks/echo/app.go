// Package echo is a web application with echo-contrib's session on echo.
package echo

import (
	"fmt"
	"net/http"
	"sort"
	"strings"

	"github.com/gorilla/sessions"
	contrib "github.com/labstack/echo-contrib/session"
	"github.com/labstack/echo/v4"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/ent/session"
	"github.com/entsession/entsession/gorillastore"
)

// New makes the application. It calls hold in a request to /slow, once the session is loaded.
func New(store *entsession.Store, hold func()) http.Handler {
	adapter := gorillastore.New(store, []byte("an authentication key of 32 bytes"))
	adapter.Columns = func(s *sessions.Session) []entsession.Column {
		return []entsession.Column{entsession.Set(session.FieldSubject, s.Values["user"])}
	}
	e := echo.New()
	e.Use(contrib.Middleware(adapter))
	e.GET("/", func(c echo.Context) error {
		s, err := contrib.Get("session", c)
		if err != nil {
			return err
		}
		var items []string
		for key := range s.Values {
			if item, ok := strings.CutPrefix(key.(string), "item "); ok {
				items = append(items, item)
			}
		}
		sort.Strings(items)
		user, _ := s.Values["user"].(string)
		return c.String(http.StatusOK, fmt.Sprintf("user %q items %q", user, items))
	})
	// change loads the session, and saves what is made of it.
	change := func(f func(echo.Context, *sessions.Session) error) echo.HandlerFunc {
		return func(c echo.Context) error {
			s, err := contrib.Get("session", c)
			if err != nil {
				return err
			}
			if err := f(c, s); err != nil {
				return err
			}
			if err := s.Save(c.Request(), c.Response()); err != nil {
				return err
			}
			return c.NoContent(http.StatusOK)
		}
	}
	e.POST("/add", change(func(c echo.Context, s *sessions.Session) error {
		s.Values["item "+c.QueryParam("item")] = true
		return nil
	}))
	e.POST("/sign-in", change(func(c echo.Context, s *sessions.Session) error {
		s.Values["user"] = c.QueryParam("user")
		return adapter.Renew(c.Request(), s)
	}))
	e.POST("/sign-out", change(func(c echo.Context, s *sessions.Session) error {
		s.Options.MaxAge = -1
		return nil
	}))
	e.POST("/slow", change(func(c echo.Context, s *sessions.Session) error {
		hold()
		s.Values["item slow"] = true
		return nil
	}))
	return e
}

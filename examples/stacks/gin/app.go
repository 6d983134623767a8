// Package gin is a web application with gin-contrib/sessions on gin.
package gin

import (
	"net/http"
	"sort"
	"strings"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	gorilla "github.com/gorilla/sessions"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/ent/session"
	"github.com/entsession/entsession/gorillastore"
)

// ginStore is a gorillastore as gin-contrib wants it.
type ginStore struct{ *gorillastore.Store }

// Options are those of new sessions.
func (s ginStore) Options(o sessions.Options) { s.Store.Options = o.ToGorillaOptions() }

// New makes the application. It calls hold in a request to /slow, once the session is loaded.
func New(store *entsession.Store, hold func()) http.Handler {
	adapter := ginStore{gorillastore.New(store, []byte("an authentication key of 32 bytes"))}
	adapter.Columns = func(s *gorilla.Session) []entsession.Column {
		return []entsession.Column{entsession.Set(session.FieldSubject, s.Values["user"])}
	}
	gin.SetMode(gin.ReleaseMode)
	router := gin.New()
	router.Use(loaded(adapter), sessions.Sessions("session", adapter))
	save := func(c *gin.Context) {
		if err := sessions.Default(c).Save(); err != nil {
			c.String(http.StatusServiceUnavailable, "please try again")
		}
	}
	router.GET("/", func(c *gin.Context) {
		var items []string
		s, err := adapter.Get(c.Request, "session") // gin-contrib has no list of the keys
		if err != nil {
			c.String(http.StatusServiceUnavailable, "please try again")
			return
		}
		for key := range s.Values {
			if item, ok := strings.CutPrefix(key.(string), "item "); ok {
				items = append(items, item)
			}
		}
		sort.Strings(items)
		user, _ := sessions.Default(c).Get("user").(string)
		c.String(http.StatusOK, "user %q items %q", user, items)
	})
	router.POST("/add", func(c *gin.Context) {
		sessions.Default(c).Set("item "+c.Query("item"), true)
		save(c)
	})
	router.POST("/sign-in", func(c *gin.Context) {
		s, err := adapter.Get(c.Request, "session")
		if err == nil {
			err = adapter.Renew(c.Request, s)
		}
		if err != nil {
			c.String(http.StatusServiceUnavailable, "please try again")
			return
		}
		sessions.Default(c).Set("user", c.Query("user"))
		save(c)
	})
	router.POST("/sign-out", func(c *gin.Context) {
		sessions.Default(c).Options(sessions.Options{Path: "/", MaxAge: -1})
		save(c)
	})
	router.POST("/slow", func(c *gin.Context) {
		s := sessions.Default(c)
		s.Get("user") // it is loaded when it is first asked for
		hold()
		s.Set("item slow", true)
		save(c)
	})
	return router
}

// loaded answers requests whose session can't be loaded: gin-contrib would log the error, and go on with an empty session.
func loaded(adapter ginStore) gin.HandlerFunc {
	return func(c *gin.Context) {
		if _, err := adapter.Get(c.Request, "session"); err != nil {
			c.AbortWithStatus(http.StatusServiceUnavailable)
		}
	}
}

// Package gorilla is a web application with gorilla/sessions on net/http.
package gorilla

import (
	"fmt"
	"net/http"
	"sort"
	"strings"

	"github.com/gorilla/sessions"

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
	return With(adapter, adapter.Renew, hold)
}

// With makes the application with any store of gorilla's. To renew a session is to give it a new id.
func With(store sessions.Store, renew func(*http.Request, *sessions.Session) error, hold func()) http.Handler {
	// with loads the session, and saves it if the handler says so.
	with := func(handle func(http.ResponseWriter, *http.Request, *sessions.Session) bool) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			s, err := store.Get(r, "session")
			if err == nil && handle(w, r, s) {
				err = s.Save(r, w)
			}
			if err != nil {
				http.Error(w, "please try again", http.StatusServiceUnavailable)
			}
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", with(func(w http.ResponseWriter, r *http.Request, s *sessions.Session) bool {
		var items []string
		for key := range s.Values {
			if item, ok := strings.CutPrefix(key.(string), "item "); ok {
				items = append(items, item)
			}
		}
		sort.Strings(items)
		user, _ := s.Values["user"].(string)
		fmt.Fprintf(w, "user %q items %q", user, items)
		return false
	}))
	mux.HandleFunc("POST /add", with(func(w http.ResponseWriter, r *http.Request, s *sessions.Session) bool {
		s.Values["item "+r.FormValue("item")] = true
		return true
	}))
	mux.HandleFunc("POST /sign-in", with(func(w http.ResponseWriter, r *http.Request, s *sessions.Session) bool {
		if err := renew(r, s); err != nil {
			http.Error(w, "please try again", http.StatusServiceUnavailable)
			return false
		}
		s.Values["user"] = r.FormValue("user")
		return true
	}))
	mux.HandleFunc("POST /sign-out", with(func(w http.ResponseWriter, r *http.Request, s *sessions.Session) bool {
		s.Options.MaxAge = -1
		return true
	}))
	mux.HandleFunc("POST /slow", with(func(w http.ResponseWriter, r *http.Request, s *sessions.Session) bool {
		hold()
		s.Values["item slow"] = true
		return true
	}))
	return mux
}

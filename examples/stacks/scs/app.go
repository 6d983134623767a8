// Package scs is a web application with scs on net/http.
package scs

import (
	"fmt"
	"net/http"
	"sort"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/ent/session"
	"github.com/entsession/entsession/scsstore"
)

// New makes the application. It calls hold in a request to /slow, once the session is loaded.
func New(store *entsession.Store, hold func()) http.Handler {
	sessions := scs.New()
	sessions.IdleTimeout = 20 * time.Minute
	adapter := scsstore.New(store)
	adapter.Columns = func(values map[string]any) []entsession.Column {
		return []entsession.Column{entsession.Set(session.FieldSubject, values["user"])}
	}
	sessions.Store = adapter
	return With(sessions, hold)
}

// With makes the application with a session manager, whatever its store.
func With(sessions *scs.SessionManager, hold func()) http.Handler {
	return sessions.LoadAndSave(routes(sessions, hold))
}

func routes(sessions *scs.SessionManager, hold func()) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		var items []string
		for _, key := range sessions.Keys(r.Context()) {
			if item, ok := strings.CutPrefix(key, "item "); ok {
				items = append(items, item)
			}
		}
		sort.Strings(items)
		fmt.Fprintf(w, "user %q items %q", sessions.GetString(r.Context(), "user"), items)
	})
	mux.HandleFunc("POST /add", func(w http.ResponseWriter, r *http.Request) {
		sessions.Put(r.Context(), "item "+r.FormValue("item"), true)
	})
	mux.HandleFunc("POST /sign-in", func(w http.ResponseWriter, r *http.Request) {
		if err := sessions.RenewToken(r.Context()); err != nil {
			http.Error(w, "please try again", http.StatusServiceUnavailable)
			return
		}
		sessions.Put(r.Context(), "user", r.FormValue("user"))
	})
	mux.HandleFunc("POST /sign-out", func(w http.ResponseWriter, r *http.Request) {
		if err := sessions.Destroy(r.Context()); err != nil {
			http.Error(w, "please try again", http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("POST /slow", func(w http.ResponseWriter, r *http.Request) {
		hold()
		sessions.Put(r.Context(), "item slow", true)
	})
	return mux
}

package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/entsession/entsession"
)

// app is what the handlers share.
type app struct {
	*database
	cookie cookie
	logger *slog.Logger
}

// maxForm bounds a request's body, in bytes. The longest form has one name in it.
const maxForm = 16 << 10

// newApp is the whole site as one handler. Behind HTTPS its cookies are Secure.
func newApp(db *database, logger *slog.Logger, https bool) http.Handler {
	a := &app{database: db, cookie: cookie{secure: https}, logger: logger}

	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", a.with(a.home))
	mux.HandleFunc("POST /counter", a.with(a.count))
	mux.HandleFunc("POST /cart/add", a.with(a.addToCart))
	mux.HandleFunc("POST /cart/remove", a.with(a.removeFromCart))
	mux.HandleFunc("POST /cart/empty", a.with(a.emptyCart))

	mux.HandleFunc("GET /sign-in", a.handle(a.signInPage))
	mux.HandleFunc("POST /sign-in", a.handle(a.signIn))
	mux.HandleFunc("POST /sign-out", a.with(a.signOut))

	mux.HandleFunc("GET /devices", a.signedIn(a.devices))
	mux.HandleFunc("POST /devices/sign-out", a.signedIn(a.signOutDevice))
	mux.HandleFunc("POST /devices/sign-out-others", a.signedIn(a.signOutOthers))

	mux.HandleFunc("GET /style.css", asset("style.css"))
	mux.HandleFunc("GET /icon.svg", asset("icon.svg"))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		a.fail(w, http.StatusNotFound, "There is nothing here", "Maybe the address has a typing error.")
	})

	// Forms are taken from our own pages only: a cookie that comes along with a request does not mean that its owner wanted it.
	csrf := http.NewCrossOriginProtection()
	csrf.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		a.fail(w, http.StatusForbidden, "That was refused", "Another site tried to do something here in your name. Nothing was changed.")
	}))
	return secured(csrf.Handler(http.MaxBytesHandler(db.columns.Handler(mux), maxForm)))
}

// secured sets the headers that keep browsers strict.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		// Not "no-referrer": browsers would then send "Origin: null" with our own forms, which looks like another site.
		h.Set("Referrer-Policy", "same-origin")
		// After signing out, the Back button shows nothing of it.
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// handle calls h and deals with what went wrong. h returns an error before it has written anything.
func (a *app) handle(h func(w http.ResponseWriter, r *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch err := h(w, r); {
		case err == nil:
		case errors.Is(err, entsession.ErrNotFound):
			// The session has ended, maybe in this very moment. The cookie is left to the sign-in page, which looks at it
			// again: by then the browser may have a new one, from another tab.
			seeOther(w, r, "/sign-in")
		case errors.Is(err, context.Canceled) && r.Context().Err() != nil:
			// The browser has gone.
		default:
			// Errors of the store name no id, so they can be logged.
			a.logger.ErrorContext(r.Context(), "request failed", "method", r.Method, "path", r.URL.Path, "error", err)
			a.fail(w, http.StatusServiceUnavailable, "Please try again",
				"The shop can't get at its sessions at the moment. Nothing of yours is lost.")
		}
	}
}

// with is handle for a handler that wants to know its visitor, who is nil if they have stored nothing yet.
func (a *app) with(h func(w http.ResponseWriter, r *http.Request, v *visitor) error) http.HandlerFunc {
	return a.handle(func(w http.ResponseWriter, r *http.Request) error {
		v, err := a.visitor(r)
		if err != nil {
			return err
		}
		return h(w, r, v)
	})
}

// seeOther ends every POST: the browser gets the page with a GET, so that reloading it sends no form again.
func seeOther(w http.ResponseWriter, r *http.Request, path string) {
	http.Redirect(w, r, path, http.StatusSeeOther)
}

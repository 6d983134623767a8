package main

import "net/http"

// cookie is how a session's id travels. The id is all that it takes to be that visitor, so the cookie is out of reach for scripts
// (HttpOnly), is not sent along with other sites' forms and images (SameSite), and, where the site is on HTTPS, never in
// the clear (Secure).
type cookie struct{ secure bool }

// name has the prefix __Host- where browsers allow it: they then take such a cookie from this very host only, over HTTPS,
// and not from a sibling domain that wants to plant an id of its own.
func (c cookie) name() string {
	if c.secure {
		return "__Host-webapp"
	}
	return "webapp"
}

func (c cookie) id(r *http.Request) string {
	found, err := r.Cookie(c.name())
	if err != nil {
		return ""
	}
	return found.Value // anything at all: the store takes care of what is no id
}

// set has no Max-Age: the browser forgets the cookie when it is closed, and the store decides how long the session lives.
func (c cookie) set(w http.ResponseWriter, id string) { http.SetCookie(w, c.cookie(id)) }

func (c cookie) clear(w http.ResponseWriter) {
	gone := c.cookie("")
	gone.MaxAge = -1
	http.SetCookie(w, gone)
}

func (c cookie) cookie(value string) *http.Cookie {
	return &http.Cookie{
		Name:     c.name(),
		Value:    value,
		Path:     "/",
		HttpOnly: true,
		Secure:   c.secure,
		SameSite: http.SameSiteLaxMode,
	}
}

package main

import (
	"net"
	"net/http"
	"time"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/ent/session"
)

// visit is the payload of a session: the store keeps it as JSON. Who is signed in is not in here but in the column
// "subject", because a column can be searched: "all sessions of Ada" is one query on an index.
type visit struct {
	Browser  string         `json:"browser"`
	Address  string         `json:"address"`
	LastSeen time.Time      `json:"last_seen"`
	SignedIn time.Time      `json:"signed_in,omitzero"`
	Counter  int            `json:"counter"`
	Cart     map[string]int `json:"cart,omitempty"` // how many, by the product's id
}

// visitor is a session with its payload decoded. A nil visitor is somebody who has stored nothing yet: they have no row in the
// table and no cookie, so crawlers and passers-by cost nothing.
type visitor = entsession.TypedSession[visit]

// seenEvery is how old "last seen" may become before a request writes it anew. Reading a page should rarely cost a write.
const seenEvery = time.Minute

func newVisit(r *http.Request) visit {
	var v visit
	v.seen(r)
	return v
}

// seen notes who is asking, and when.
func (v *visit) seen(r *http.Request) {
	v.Browser, v.Address, v.LastSeen = browserName(r.UserAgent()), clientAddress(r), now()
}

// stale tells whether that note is out of date.
func (v *visit) stale(r *http.Request) bool {
	return now().Sub(v.LastSeen) >= seenEvery || v.Browser != browserName(r.UserAgent()) || v.Address != clientAddress(r)
}

// clientAddress is the address the connection comes from. Behind a reverse proxy that is the proxy's: an application
// there takes the header that its own proxy sets, and no other.
func clientAddress(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

func now() time.Time { return time.Now().UTC().Truncate(time.Second) }

// name is who is signed in, or "".
func name(v *visitor) (string, error) {
	if v == nil {
		return "", nil
	}
	return entsession.Get[string](v.Session, session.FieldSubject) // NULL gives ""
}

// visitor finds the session that the request's cookie names. No cookie is a nil visitor. A cookie that names no live session
// is entsession.ErrNotFound: whether it expired, was signed out elsewhere or never existed makes no difference.
func (a *app) visitor(r *http.Request) (*visitor, error) {
	id := a.cookie.id(r)
	if id == "" {
		return nil, nil
	}
	v, err := a.sessions.Load(r.Context(), id)
	if err != nil {
		return nil, err
	}
	if !v.Value.stale(r) {
		return v, nil
	}
	// Load does not renew a session, Update does: someone who keeps clicking stays signed in.
	return a.sessions.Update(r.Context(), id, func(v *visitor) error {
		v.Value.seen(r)
		return nil
	})
}

// change changes the visitor's session, or begins one.
//
// Update applies f to the session as it is in the table at that moment, again if someone else was faster: two clicks at the same
// time both count. Changing v.Value and saving it would be refused then, with entsession.ErrConflict.
func (a *app) change(w http.ResponseWriter, r *http.Request, v *visitor, f func(*visit)) error {
	if v == nil {
		value := newVisit(r)
		f(&value)
		v, err := a.sessions.Create(r.Context(), value)
		if err != nil {
			return err
		}
		a.cookie.set(w, v.ID())
		return nil
	}
	_, err := a.sessions.Update(r.Context(), v.ID(), func(v *visitor) error {
		f(&v.Value)
		return nil
	})
	return err
}

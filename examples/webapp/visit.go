package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/examples/webapp/ent"
)

// visit is the payload of a session, which is kept as JSON. Who is signed in, and on what, is not in here but in columns (ent/schema/session.go): those
// can be searched.
type visit struct {
	Counter int            `json:"counter"`
	Cart    map[string]int `json:"cart,omitempty"` // how many, by the product's id
}

// visitor is a session with its payload decoded, and whose it is. A nil visitor is somebody who has stored nothing yet: they have no row in the
// table and no cookie, so crawlers and passers-by cost nothing.
type visitor struct {
	*ent.StoredSession
	Value visit
	User  *ent.User // nil: nobody is signed in
}

// seenEvery is how old "last seen" may become before a request writes it anew. Reading a page should rarely cost a write.
const seenEvery = time.Minute

// name is who is signed in, or "".
func (v *visitor) name() string {
	if v == nil || v.User == nil {
		return ""
	}
	return v.User.Name
}

// visitor finds the session that the request's cookie names. No cookie is a nil visitor. A cookie that names no live session
// is entsession.ErrNotFound: whether it expired, was signed out elsewhere or never existed makes no difference.
func (a *app) visitor(r *http.Request) (*visitor, error) {
	id := a.cookie.id(r)
	if id == "" {
		return nil, nil
	}
	s, err := a.sessions.Load(r.Context(), id)
	if err != nil {
		return nil, err
	}
	if time.Since(s.LastSeen) >= seenEvery {
		// Load writes nothing. Update renews the session, so that someone who keeps clicking stays signed in, and brings its columns up to date.
		if s, err = a.sessions.Update(r.Context(), id, func(*ent.StoredSession) error { return nil }); err != nil {
			return nil, err
		}
	}
	return decode(r.Context(), s)
}

func decode(ctx context.Context, s *ent.StoredSession) (*visitor, error) {
	v := &visitor{StoredSession: s}
	if err := json.Unmarshal(s.Data, &v.Value); err != nil {
		return nil, fmt.Errorf("decoding the payload: %w", err)
	}
	if s.UserID == nil {
		return v, nil
	}
	var err error
	if v.User, err = s.QueryUser().Only(ctx); ent.IsNotFound(err) { // deleted since, and the session with them
		err = entsession.ErrNotFound
	}
	return v, err
}

// change changes the visitor's session, or begins one.
//
// Update applies f to the session as it is in the table at that moment, again if someone else was faster: two clicks at the same
// time both count. Changing the visitor's and saving it would be refused then, with entsession.ErrConflict.
func (a *app) change(w http.ResponseWriter, r *http.Request, v *visitor, f func(*visit)) error {
	if v == nil {
		var value visit
		f(&value)
		data, err := json.Marshal(value)
		if err != nil {
			return err
		}
		s, err := a.sessions.Create(r.Context(), data)
		if err != nil {
			return err
		}
		a.cookie.set(w, s.ID())
		return nil
	}
	_, err := a.sessions.Update(r.Context(), v.ID(), func(s *ent.StoredSession) error {
		var value visit
		if err := json.Unmarshal(s.Data, &value); err != nil {
			return fmt.Errorf("decoding the payload: %w", err)
		}
		f(&value)
		data, err := json.Marshal(value)
		s.Data = data
		return err
	})
	return err
}

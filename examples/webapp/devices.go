package main

import (
	"cmp"
	"context"
	"net/http"
	"slices"

	"github.com/entsession/entsession/examples/webapp/ent"
	"github.com/entsession/entsession/examples/webapp/ent/session"
)

// device is one of a person's sessions, as pages/devices.html shows it. Its ID names it in a form: it is the hash of the one in the cookie, and opens nothing.
type device struct {
	*ent.Session
	Browser string
	This    bool
}

func (a *app) devices(w http.ResponseWriter, r *http.Request, v *visitor) error {
	all, err := a.devicesOf(r.Context(), v)
	if err != nil {
		return err
	}
	a.render(w, http.StatusOK, "devices.html", view{Title: "Your devices", Name: v.name(), Notice: notice(r), Page: all})
	return nil
}

// devicesOf lists the live sessions of a person, this one first, then the latest.
func (a *app) devicesOf(ctx context.Context, v *visitor) ([]device, error) {
	var all []device
	// The predicates are those that ent generates from the schema.
	for s, err := range a.sessions.List(ctx, session.UserID(v.User.ID)) {
		if err != nil {
			return nil, err
		}
		all = append(all, device{s.Session, browserName(s.UserAgent), s.Key() == v.Key()})
	}
	slices.SortFunc(all, func(a, b device) int {
		if a.This != b.This {
			return map[bool]int{true: -1, false: 1}[a.This]
		}
		return cmp.Or(b.LastSeen.Compare(a.LastSeen), cmp.Compare(a.ID, b.ID))
	})
	return all, nil
}

// signOutDevice ends one session. The user is part of the condition, so that nobody ends a stranger's session with a key that they
// found somewhere.
func (a *app) signOutDevice(w http.ResponseWriter, r *http.Request, v *visitor) error {
	key := r.PostFormValue("key")
	if key == v.Key() {
		return a.signOut(w, r, v)
	}
	n, err := a.sessions.Revoke(r.Context(), session.UserID(v.User.ID), session.ID(key))
	if err != nil {
		return err
	}
	if n == 0 { // somebody was faster, or it expired
		seeOther(w, r, "/devices?done=gone")
		return nil
	}
	seeOther(w, r, "/devices?done=device")
	return nil
}

// signOutOthers ends every session of this person but this one: what one does after losing a phone.
func (a *app) signOutOthers(w http.ResponseWriter, r *http.Request, v *visitor) error {
	if _, err := a.sessions.Revoke(r.Context(), session.UserID(v.User.ID), session.IDNEQ(v.Key())); err != nil {
		return err
	}
	seeOther(w, r, "/devices?done=others")
	return nil
}

// signedIn is with for a handler whose visitor has to be signed in. It sends the others to the sign-in page.
func (a *app) signedIn(h func(w http.ResponseWriter, r *http.Request, v *visitor) error) http.HandlerFunc {
	return a.with(func(w http.ResponseWriter, r *http.Request, v *visitor) error {
		if v.name() == "" {
			seeOther(w, r, "/sign-in?done=needed")
			return nil
		}
		return h(w, r, v)
	})
}

package main

import (
	"cmp"
	"context"
	"net/http"
	"slices"

	"github.com/entsession/entsession/ent/session"
)

// device is one of a person's sessions, as pages/devices.html shows it.
type device struct {
	visit
	Key  string // names the session in a form: it is the hash of the id, and opens nothing
	This bool
}

func (a *app) devices(w http.ResponseWriter, r *http.Request, v *visitor, who string) error {
	all, err := a.devicesOf(r.Context(), who, v.Key())
	if err != nil {
		return err
	}
	a.render(w, http.StatusOK, "devices.html", view{Title: "Your devices", Name: who, Notice: notice(r), Page: all})
	return nil
}

// devicesOf lists the live sessions of a person, this one first, then the latest.
func (a *app) devicesOf(ctx context.Context, who, this string) ([]device, error) {
	var all []device
	// The predicates are those that ent generates from the schema: your own columns have theirs.
	for s, err := range a.sessions.List(ctx, session.Subject(who)) {
		if s == nil {
			return nil, err
		}
		d := device{Key: s.Key(), This: s.Key() == this, visit: s.Value}
		if err != nil { // its payload is not one of ours
			d.Browser = "Unknown browser" // listed all the same: it can be signed out
		}
		all = append(all, d)
	}
	slices.SortFunc(all, func(a, b device) int {
		if a.This != b.This {
			return map[bool]int{true: -1, false: 1}[a.This]
		}
		return cmp.Or(b.LastSeen.Compare(a.LastSeen), cmp.Compare(a.Key, b.Key))
	})
	return all, nil
}

// signOutDevice ends one session. The name is part of the condition, so that nobody ends a stranger's session with a key that they
// found somewhere.
func (a *app) signOutDevice(w http.ResponseWriter, r *http.Request, v *visitor, who string) error {
	key := r.PostFormValue("key")
	if key == v.Key() {
		return a.signOut(w, r, v)
	}
	n, err := a.sessions.Revoke(r.Context(), session.Subject(who), session.ID(key))
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
func (a *app) signOutOthers(w http.ResponseWriter, r *http.Request, v *visitor, who string) error {
	if _, err := a.sessions.Revoke(r.Context(), session.Subject(who), session.IDNEQ(v.Key())); err != nil {
		return err
	}
	seeOther(w, r, "/devices?done=others")
	return nil
}

// signedIn is with for a handler that wants to know who its visitor is. It sends the others to the sign-in page.
func (a *app) signedIn(h func(w http.ResponseWriter, r *http.Request, v *visitor, who string) error) http.HandlerFunc {
	return a.with(func(w http.ResponseWriter, r *http.Request, v *visitor) error {
		who, err := name(v)
		switch {
		case err != nil:
			return err
		case who == "":
			seeOther(w, r, "/sign-in?done=needed")
			return nil
		}
		return h(w, r, v, who)
	})
}

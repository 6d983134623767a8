package main

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/examples/webapp/ent"
	"github.com/entsession/entsession/examples/webapp/ent/session"
)

// maxName is the longest name taken, in characters. The column has room for 255.
const maxName = 40

// signInForm is the data of pages/sign-in.html.
type signInForm struct {
	Name    string // as typed
	Problem string // what is wrong with it
	MaxName int
}

func (a *app) signInPage(w http.ResponseWriter, r *http.Request) error {
	page := view{Title: "Sign in", Bare: true, Notice: notice(r), Page: signInForm{MaxName: maxName}}
	v, err := a.visitor(r)
	switch {
	case errors.Is(err, entsession.ErrNotFound):
		// This is where everybody lands whose session has ended.
		a.cookie.clear(w)
		page.Notice = "Your session has ended: it expired, or it was signed out on another device."
	case err != nil:
		return err
	}
	if v.name() != "" {
		seeOther(w, r, "/")
		return nil
	}
	a.render(w, http.StatusOK, "sign-in.html", page)
	return nil
}

// signIn takes any name: this is a demonstration of what comes after the password was right.
func (a *app) signIn(w http.ResponseWriter, r *http.Request) error {
	who, problem := checkName(r.PostFormValue("name"))
	if problem != "" {
		form := signInForm{Name: r.PostFormValue("name"), Problem: problem, MaxName: maxName}
		a.render(w, http.StatusUnprocessableEntity, "sign-in.html", view{Title: "Sign in", Bare: true, Page: form})
		return nil
	}
	v, err := a.visitor(r)
	if err != nil && !errors.Is(err, entsession.ErrNotFound) { // an old cookie is no obstacle
		return err
	}
	switch before := v.name(); {
	case before == who:
	case before != "":
		// Somebody else was signed in here: nothing of theirs is for the one who comes now.
		if err := a.sessions.Delete(r.Context(), v.ID()); err != nil {
			return err
		}
		v = nil
		fallthrough
	default:
		if err := a.begin(w, r, v, who); err != nil {
			return err
		}
	}
	seeOther(w, r, "/")
	return nil
}

// begin makes the visitor's session that of a person, or makes one.
func (a *app) begin(w http.ResponseWriter, r *http.Request, v *visitor, who string) error {
	u, err := a.user(r.Context(), who)
	if err != nil {
		return err
	}
	columns := []session.Column{session.SetUserID(u.ID), session.SetSignedIn(time.Now().UTC().Truncate(time.Second))}
	var s *ent.StoredSession
	if v == nil {
		s, err = a.sessions.Create(r.Context(), []byte("{}"), columns...)
	} else {
		// The cart comes along, but under a new id: the old one may be known to somebody who planted it in this browser and waits for
		// its owner to sign in (session fixation). The user comes with the new id, so that the old one is never signed in.
		s, err = a.sessions.Rotate(r.Context(), v.ID(), columns...)
	}
	if err != nil {
		return err
	}
	a.cookie.set(w, s.ID())
	return nil
}

// signOut ends the session in the database: a cookie that somebody copied is worth nothing from now on.
func (a *app) signOut(w http.ResponseWriter, r *http.Request, v *visitor) error {
	if v != nil {
		if err := a.sessions.Delete(r.Context(), v.ID()); err != nil {
			return err
		}
	}
	a.cookie.clear(w)
	seeOther(w, r, "/sign-in?done=signed-out")
	return nil
}

// checkName takes a name as typed, or says what is wrong with it.
func checkName(typed string) (clean, problem string) {
	clean = strings.Join(strings.Fields(typed), " ")
	switch {
	case !utf8.ValidString(clean) || strings.ContainsFunc(clean, func(r rune) bool { return !unicode.IsPrint(r) }):
		return "", "Please use letters, digits and the like."
	case clean == "":
		return "", "Please enter a name."
	case utf8.RuneCountInString(clean) > maxName:
		return "", fmt.Sprintf("Please use a shorter name: at most %d characters.", maxName)
	}
	return clean, ""
}

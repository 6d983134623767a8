package sessiontest

import (
	"context"
	"net/http"
	"slices"
	"testing"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/ent/session"
)

// SignIn creates a session of someone, with extra columns and without a payload, and gives the cookie that their browser would send. Its name is "session"; set another
// where the application has one. It works with any store whose table has the column subject; subject "" leaves that out.
func SignIn(t testing.TB, store *entsession.Store, subject string, columns ...entsession.Column) *http.Cookie {
	t.Helper()
	return SignInWith(t, store, subject, nil, columns...)
}

// SignInWith is SignIn with a payload: JSON for an entsession.Typed, for instance, or what a session manager's codec makes.
func SignInWith(t testing.TB, store *entsession.Store, subject string, data []byte, columns ...entsession.Column) *http.Cookie {
	t.Helper()
	if subject != "" {
		columns = append([]entsession.Column{entsession.Set(session.FieldSubject, subject)}, columns...)
	}
	s, err := store.Create(context.Background(), data, slices.Clip(columns)...)
	if err != nil {
		t.Fatalf("sessiontest: signing in: %v", err)
		return nil
	}
	return &http.Cookie{Name: "session", Value: s.ID(), Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode}
}

// Expire lets the timeout of one live session pass, in any store.
func Expire(t testing.TB, store *entsession.Store, id string) {
	t.Helper()
	ctx := context.Background()
	s, err := store.Load(ctx, id)
	if err != nil {
		t.Fatalf("sessiontest: expiring a session: %v", err)
		return
	}
	n, err := store.Client().Session.Update().Where(session.ID(s.Key())).SetTimeout(1).Save(ctx) // 1970, on anyone's clock
	if err != nil || n != 1 {
		t.Fatalf("sessiontest: expiring a session: %d rows, %v", n, err)
	}
}

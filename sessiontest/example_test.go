package sessiontest_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/entsession/entsession/sessiontest"
)

var (
	t        *testing.T // of the test
	handlers = func(any) http.Handler { return http.NotFoundHandler() }
)

// A signed-in request, and the same an hour later, when the session has expired.
func ExampleNew() {
	store := sessiontest.New(t)
	app := handlers(store) // the application's
	r := httptest.NewRequest("GET", "/basket", nil)
	r.AddCookie(sessiontest.SignIn(t, store, "ann"))
	app.ServeHTTP(httptest.NewRecorder(), r)

	sessiontest.Advance(t, store, time.Hour)
	answer := httptest.NewRecorder()
	app.ServeHTTP(answer, r)
	if answer.Code != http.StatusSeeOther {
		t.Error("the sign-in page was expected")
	}
}

// A store that wraps this one, against what every store promises.
func ExampleRunStore() {
	sessiontest.RunStore(t, func(t *testing.T) sessiontest.Store { return sessiontest.Methods(sessiontest.New(t)) })
}

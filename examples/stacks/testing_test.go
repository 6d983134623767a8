package stacks

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/ent/session"
	"github.com/entsession/entsession/scsstore"
	"github.com/entsession/entsession/sessiontest"
)

// TestTestingDocs: every snippet of docs/testing.md is a part of this file, but for how far it is indented.
func TestTestingDocs(t *testing.T) {
	doc, err := os.ReadFile("../../docs/testing.md")
	require.NoError(t, err)
	source, err := os.ReadFile("testing_test.go")
	require.NoError(t, err)
	indent := regexp.MustCompile(`(?m)^\t+`)
	snippets := regexp.MustCompile("(?s)```go\n(.*?)```\n").FindAllStringSubmatch(string(doc), -1)
	require.Len(t, snippets, strings.Count(string(doc), "```go"))
	for _, s := range snippets {
		require.Contains(t, indent.ReplaceAllString(string(source), ""), indent.ReplaceAllString(s[1], ""))
	}
}

func newShop(store *entsession.Store) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cookie, err := r.Cookie("session")
		if err != nil {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		s, err := store.Load(r.Context(), cookie.Value)
		if err != nil {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		user, _ := entsession.Get[string](s, session.FieldSubject)
		_, _ = w.Write([]byte("the basket of " + user))
	})
}

func TestBasket(t *testing.T) {
	t.Parallel()
	store := sessiontest.New(t)
	shop := newShop(store)

	r := httptest.NewRequest("GET", "/basket", nil)
	r.AddCookie(sessiontest.SignIn(t, store, "ann"))
	w := httptest.NewRecorder()
	shop.ServeHTTP(w, r)
	require.Equal(t, "the basket of ann", w.Body.String())

	sessiontest.Advance(t, store, time.Hour)
	w = httptest.NewRecorder()
	shop.ServeHTTP(w, r)
	require.Equal(t, http.StatusUnauthorized, w.Code)
}

func TestInBubble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := sessiontest.New(t)
		cookie := sessiontest.SignIn(t, store, "ann")
		time.Sleep(time.Hour)
		_, err := store.Load(t.Context(), cookie.Value)
		require.ErrorIs(t, err, entsession.ErrNotFound)
	})
}

func TestWithManager(t *testing.T) {
	t.Parallel()
	store := sessiontest.New(t)
	sessions := scs.New()
	sessions.Store = scsstore.New(store)
	data, err := scs.GobCodec{}.Encode(time.Now().Add(time.Hour), map[string]any{"user": "ann"})
	require.NoError(t, err)
	cookie := sessiontest.SignInWith(t, store, "ann", data)
	cookie.Name = sessions.Cookie.Name

	server := httptest.NewServer(sessions.LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(sessions.GetString(r.Context(), "user")))
	})))
	defer server.Close()
	r, err := http.NewRequest("GET", server.URL, nil)
	require.NoError(t, err)
	r.AddCookie(cookie)
	res, err := server.Client().Do(r)
	require.NoError(t, err)
	defer res.Body.Close()
	text := make([]byte, 10)
	n, _ := res.Body.Read(text)
	require.Equal(t, "ann", string(text[:n]))
}

// audit is a store that tells what was deleted.
type audit struct{ *entsession.Store }

func newAudit(store *entsession.Store) audit { return audit{store} }

func (a audit) Delete(ctx context.Context, id string) error { return a.Store.Delete(ctx, id) }

func TestStore(t *testing.T) {
	sessiontest.RunStore(t, func(t *testing.T) sessiontest.Store {
		store := sessiontest.New(t)
		checked := sessiontest.Methods(store)
		checked.Delete = newAudit(store).Delete // what is your own
		return checked
	})
}

package scs_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	manager "github.com/alexedwards/scs/v2"
	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/scsstore"
	_ "github.com/entsession/entsession/sqlite"
)

var (
	_ manager.CtxStore         = (*scsstore.Store)(nil)
	_ manager.IterableStore    = (*scsstore.Store)(nil)
	_ manager.IterableCtxStore = (*scsstore.Store)(nil)
)

func open(t *testing.T) *entsession.Store {
	t.Helper()
	store, err := entsession.Open(t.Context(), entsession.Config{Driver: "sqlite", Database: filepath.Join(t.TempDir(), "sessions.db"), Params: map[string]string{"synchronous": "off"}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	require.NoError(t, store.Migrate(t.Context()))
	return store
}

// TestManager calls scs's methods without HTTP: hashed or not, with idle timeout or not.
func TestManager(t *testing.T) {
	t.Parallel()
	for _, hashed := range []bool{false, true} {
		for _, idle := range []time.Duration{0, time.Minute} {
			t.Run(fmt.Sprintf("hashed=%v/idle=%v", hashed, idle), func(t *testing.T) {
				t.Parallel()
				m := manager.New()
				m.HashTokenInStore, m.IdleTimeout = hashed, idle
				m.Store = scsstore.New(open(t))
				load := func(token string) context.Context {
					t.Helper()
					ctx, err := m.Load(t.Context(), token)
					require.NoError(t, err)
					return ctx
				}
				commit := func(ctx context.Context) string {
					t.Helper()
					token, _, err := m.Commit(ctx)
					require.NoError(t, err)
					return token
				}
				ctx := load("")
				m.Put(ctx, "n", 1)
				token := commit(ctx)

				ctx = load(token)
				require.Equal(t, 1, m.GetInt(ctx, "n"))
				require.Equal(t, 1, m.PopInt(ctx, "n"))
				require.NoError(t, m.RenewToken(ctx))
				renewed := commit(ctx)
				require.NotEqual(t, token, renewed)
				require.Empty(t, m.Keys(load(token)))

				ctx = load(renewed)
				m.Put(ctx, "user", "ann")
				renewed = commit(ctx) // without values there was no session yet
				ctx = load("")
				require.NoError(t, m.MergeSession(ctx, renewed))
				require.Equal(t, "ann", m.GetString(ctx, "user"))
				merged := commit(ctx)
				require.Empty(t, m.Keys(load(renewed)))

				seen := 0
				require.NoError(t, m.Iterate(t.Context(), func(ctx context.Context) error {
					seen++
					require.Equal(t, "ann", m.GetString(ctx, "user"))
					if !hashed { // scs would hash it again
						return m.Destroy(ctx)
					}
					return nil
				}))
				require.Equal(t, 1, seen)
				if !hashed {
					require.Empty(t, m.Keys(load(merged)))
				}

				ctx = load("")
				m.Put(ctx, "n", 1)
				token = commit(ctx)
				ctx = load(token)
				m.SetDeadline(ctx, time.Now().Add(-time.Second))
				commit(ctx)
				require.Empty(t, m.Keys(load(token)), "over")
			})
		}
	}
}

// TestNothingLeft: a visitor whose values are all removed before the request ends has no row, and one who has a row has it emptied.
func TestNothingLeft(t *testing.T) {
	t.Parallel()
	m, store := manager.New(), open(t)
	m.Store = scsstore.New(store)
	server := httptest.NewServer(m.LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/visit":
			m.Put(r.Context(), "flash", "welcome")
			m.PopString(r.Context(), "flash")
		case "/sign-in":
			m.Put(r.Context(), "user", "ann")
		case "/clear":
			m.Remove(r.Context(), "user")
		}
		fmt.Fprint(w, m.Keys(r.Context()))
	})))
	defer server.Close()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	client := &http.Client{Jar: jar}
	defer client.CloseIdleConnections()
	for _, step := range []struct {
		path, keys string
		rows       int
	}{{"/visit", "[]", 0}, {"/visit", "[]", 0}, {"/", "[]", 0}, {"/sign-in", "[user]", 1}, {"/visit", "[user]", 1}, {"/clear", "[]", 1}, {"/", "[]", 1}} {
		res, err := client.Get(server.URL + step.path)
		require.NoError(t, err)
		text, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, step.keys, string(text), step.path)
		rows, err := store.Count(t.Context())
		require.NoError(t, err)
		require.Equal(t, step.rows, rows, step.path)
	}
}

// TestIdle: the expiry slides, without a write at each request.
func TestIdle(t *testing.T) {
	t.Parallel()
	m := manager.New()
	m.IdleTimeout = 10 * time.Minute
	store := open(t)
	m.Store = scsstore.New(store)
	server := httptest.NewServer(m.LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/sign-in" {
			m.Put(r.Context(), "user", "ann")
			m.Put(r.Context(), "theme", "dark")
		}
		fmt.Fprint(w, m.GetString(r.Context(), "user"))
	})))
	defer server.Close()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	client := server.Client()
	client.Jar = jar
	get := func(path string) {
		t.Helper()
		res, err := client.Get(server.URL + path)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, http.StatusOK, res.StatusCode)
	}
	get("/sign-in")
	expires := func() time.Time {
		for s, err := range store.List(t.Context()) {
			require.NoError(t, err)
			return s.Expires()
		}
		return time.Time{}
	}
	earlier := func(seconds int) {
		_, err := store.Client().Session.Update().AddTimeout(int64(-seconds)).Save(t.Context())
		require.NoError(t, err)
	}
	first := expires()
	require.InDelta(t, 600, time.Until(first).Seconds(), 5)
	earlier(50)
	get("/")
	require.Equal(t, first.Add(-50*time.Second), expires(), "less than the touch interval")
	earlier(20)
	get("/")
	require.InDelta(t, 600, time.Until(expires()).Seconds(), 5)
}

func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "entsession-example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	store, err := entsession.Open(ctx, entsession.Config{Driver: "sqlite", Database: filepath.Join(dir, "sessions.db")})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	if err := store.Migrate(ctx); err != nil {
		log.Fatal(err)
	}

	sessions := manager.New()
	sessions.Store = scsstore.New(store)

	handler := sessions.LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		visits := sessions.GetInt(r.Context(), "visits") + 1
		sessions.Put(r.Context(), "visits", visits)
		fmt.Fprintf(w, "visit %d", visits)
	}))

	request := httptest.NewRequest("GET", "/", nil)
	for range 2 {
		response := httptest.NewRecorder()
		handler.ServeHTTP(response, request)
		fmt.Println(response.Body)
		request = httptest.NewRequest("GET", "/", nil)
		for _, cookie := range response.Result().Cookies() {
			request.AddCookie(cookie)
		}
	}
	// Output:
	// visit 1
	// visit 2
}

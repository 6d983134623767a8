package scs_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	manager "github.com/alexedwards/scs/v2"
	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/scsstore"
	"github.com/entsession/entsession/sessiontest"
)

// TestContexts: whatever a handler makes of its request's context before it commits by hand, the session is known as the one that was loaded; and one that
// was ended meanwhile stays ended.
func TestContexts(t *testing.T) {
	t.Parallel()
	for name, derive := range map[string]func(context.Context) (context.Context, context.CancelFunc){
		"same":   func(ctx context.Context) (context.Context, context.CancelFunc) { return ctx, func() {} },
		"cancel": func(ctx context.Context) (context.Context, context.CancelFunc) { return context.WithCancel(ctx) },
		"timeout": func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, time.Minute)
		},
		"detached": func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithoutCancel(ctx), func() {}
		},
		"detached timeout": func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := sessiontest.New(t)
			m := manager.New()
			m.Store = scsstore.New(store)
			committed := make(chan error, 1)
			var meanwhile func(token string)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				ctx, err := m.Load(r.Context(), r.Header.Get("Token"))
				if err != nil {
					committed <- err
					return
				}
				m.Put(ctx, "user", r.Header.Get("User"))
				if meanwhile != nil {
					meanwhile(r.Header.Get("Token"))
				}
				ctx, cancel := derive(ctx)
				defer cancel()
				token, _, err := m.Commit(ctx)
				w.Header().Set("Token", token)
				committed <- err
			}))
			defer server.Close()
			request := func(token, user string) string {
				t.Helper()
				r, err := http.NewRequest("GET", server.URL, nil)
				require.NoError(t, err)
				r.Header.Set("Token", token)
				r.Header.Set("User", user)
				res, err := server.Client().Do(r)
				require.NoError(t, err)
				require.NoError(t, res.Body.Close())
				require.NoError(t, <-committed)
				return res.Header.Get("Token")
			}
			user := func(token string) string {
				ctx, err := m.Load(t.Context(), token)
				require.NoError(t, err)
				return m.GetString(ctx, "user")
			}
			token := request("", "ann")
			require.Equal(t, token, request(token, "bob"))
			require.Equal(t, "bob", user(token))

			meanwhile = func(token string) { require.NoError(t, store.Delete(context.Background(), token)) }
			request(token, "eve")
			require.Empty(t, user(token))

			// The same if even its row is gone.
			meanwhile = nil
			token = request("", "ann")
			meanwhile = func(token string) {
				require.NoError(t, store.Delete(context.Background(), token))
				_, err := store.Client().Session.Delete().Exec(context.Background())
				require.NoError(t, err)
			}
			request(token, "eve")
			require.Empty(t, user(token))
		})
	}
}

package gorillastore_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gorilla/sessions"
	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/ent/session"
	"github.com/entsession/entsession/gorillastore"
	"github.com/entsession/entsession/sessiontest"
)

// TestSuite: the promises that can be seen from outside, through what gorilla's users call.
func TestSuite(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		conflicts gorillastore.Conflicts
		keys      [][]byte
	}{
		"merge": {gorillastore.Merge, [][]byte{key}}, "refuse": {gorillastore.Refuse, nil}, "overwrite": {gorillastore.Overwrite, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sessiontest.RunAdapter(t, func(t *testing.T) sessiontest.Adapter { return suiteAdapter(t, c.conflicts, c.keys...) })
		})
	}
}

// under is the key of a request in its own context.
type under struct{}

// suiteRequest is one request, and gorilla's session in it.
type suiteRequest struct {
	*http.Request
	session *sessions.Session
}

func suiteAdapter(t *testing.T, conflicts gorillastore.Conflicts, keys ...[]byte) sessiontest.Adapter {
	store := sessiontest.New(t)
	s := gorillastore.New(store, keys...)
	s.Conflicts = conflicts
	s.Serializer = gorillastore.JSON{}
	if len(keys) == 0 {
		s.Serializer = gorillastore.Gob{}
	}
	get := func(ctx context.Context, id string) (*suiteRequest, error) {
		held, _ := ctx.Value(under{}).(*suiteRequest)
		if held == nil {
			return nil, errors.New("no request")
		}
		if held.session != nil && id != "" {
			return held, nil
		}
		held.Request = httptest.NewRequest("GET", "/", nil).WithContext(ctx)
		if id != "" {
			held.Header.Set("Cookie", "session="+id) // as it is, whatever is in it
		}
		var err error
		held.session, err = s.New(held.Request, "session")
		return held, err
	}
	save := func(r *suiteRequest, values map[string]string) (string, error) {
		r.session.Values = map[any]any{}
		for k, v := range values {
			r.session.Values[k] = v
		}
		w := httptest.NewRecorder()
		if err := r.session.Save(r.Request, w); err != nil {
			return "", err
		}
		for _, c := range w.Result().Cookies() {
			return c.Value, nil
		}
		return "", nil
	}
	return sessiontest.Adapter{
		OwnIDs: true,
		Request: func(ctx context.Context) context.Context {
			return context.WithValue(ctx, under{}, &suiteRequest{})
		},
		Create: func(ctx context.Context, _ string, values map[string]string) (string, error) {
			r, err := get(ctx, "")
			if err != nil {
				return "", err
			}
			return save(r, values)
		},
		Find: func(ctx context.Context, id string) (map[string]string, error) {
			r, err := get(context.WithValue(ctx, under{}, request0(ctx)), id)
			if err != nil || r.session.IsNew {
				return nil, err
			}
			values := map[string]string{}
			for k, v := range r.session.Values {
				name, _ := k.(string)
				values[name], _ = v.(string)
			}
			return values, nil
		},
		Save: func(ctx context.Context, id string, values map[string]string) error {
			r, err := get(ctx, id)
			if err != nil {
				return err
			}
			_, err = save(r, values)
			return err
		},
		Delete: func(ctx context.Context, id string) error {
			r, err := get(ctx, id)
			if err != nil {
				return err
			}
			r.session.Options.MaxAge = -1
			_, err = save(r, nil)
			r.session = nil
			return err
		},
		Expire: func(t testing.TB, id string) { sessiontest.Expire(t, store, plain(t, s, id)) },
		Rows: func(t testing.TB) int {
			n, err := store.Client().Session.Query().Where(session.TimeoutGT(1)).Count(context.Background())
			require.NoError(t, err)
			return n
		},
		Break:          func(t testing.TB) { require.NoError(t, store.Close()) },
		LastWriterWins: conflicts == gorillastore.Overwrite,
	}
}

// request0 gives the request of a context, which is to look again.
func request0(ctx context.Context) *suiteRequest {
	r, _ := ctx.Value(under{}).(*suiteRequest)
	if r != nil {
		r.session = nil
	}
	return r
}

// plain is the id in a cookie.
func plain(t testing.TB, s *gorillastore.Store, value string) string {
	r := httptest.NewRequest("GET", "/", nil)
	r.AddCookie(&http.Cookie{Name: "session", Value: value})
	found, err := s.New(r, "session")
	require.NoError(t, err)
	require.False(t, found.IsNew)
	return found.ID
}

package gorillastore_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"entgo.io/ent/dialect"
	"github.com/gorilla/securecookie"
	"github.com/gorilla/sessions"
	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/gorillastore"
	"github.com/entsession/entsession/sessiontest"
	_ "github.com/entsession/entsession/sqlite"
)

func open(t *testing.T) *entsession.Store {
	t.Helper()
	store, err := entsession.Open(t.Context(), entsession.Config{Driver: "sqlite", Database: filepath.Join(t.TempDir(), "sessions.db"), Params: map[string]string{"synchronous": "off"}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	require.NoError(t, store.Migrate(t.Context()))
	return store
}

var key = []byte("an authentication key of 32 bytes")

// request with the cookies of a response.
func request(after *httptest.ResponseRecorder) *http.Request {
	r := httptest.NewRequest("GET", "/", nil)
	if after != nil {
		for _, c := range after.Result().Cookies() {
			r.AddCookie(c)
		}
	}
	return r
}

func get(t *testing.T, s *gorillastore.Store, after *httptest.ResponseRecorder) (*http.Request, *sessions.Session) {
	t.Helper()
	r := request(after)
	session, err := s.Get(r, "session")
	require.NoError(t, err)
	return r, session
}

// save saves one value in a request, and gives the response.
func save(t *testing.T, s *gorillastore.Store, after *httptest.ResponseRecorder, name string, value any) *httptest.ResponseRecorder {
	t.Helper()
	r, session := get(t, s, after)
	session.Values[name] = value
	w := httptest.NewRecorder()
	require.NoError(t, session.Save(r, w))
	return w
}

func TestConflicts(t *testing.T) {
	t.Parallel()
	for conflicts, want := range map[gorillastore.Conflicts]map[any]any{
		gorillastore.Merge:     {"first": 1, "mine": 1, "theirs": 1, "both": "mine"},
		gorillastore.Overwrite: {"first": 1, "mine": 1, "both": "mine"},
		gorillastore.Refuse:    {"first": 1, "theirs": 1, "both": "theirs"},
	} {
		for name, serializer := range map[string]gorillastore.Serializer{"gob": gorillastore.Gob{}, "json": gorillastore.JSON{}} {
			t.Run(fmt.Sprint(conflicts, name), func(t *testing.T) {
				t.Parallel()
				s := gorillastore.New(open(t), key)
				s.Conflicts, s.Serializer = conflicts, serializer
				cookie := save(t, s, nil, "first", 1)
				mineRequest, mine := get(t, s, cookie)
				theirsRequest, theirs := get(t, s, cookie)
				theirs.Values["theirs"], theirs.Values["both"] = 1, "theirs"
				require.NoError(t, theirs.Save(theirsRequest, httptest.NewRecorder()))
				mine.Values["mine"], mine.Values["both"] = 1, "mine"
				err := mine.Save(mineRequest, httptest.NewRecorder())
				if conflicts == gorillastore.Refuse {
					require.ErrorIs(t, err, entsession.ErrConflict)
				} else {
					require.NoError(t, err)
				}
				_, session := get(t, s, cookie)
				require.Equal(t, fmt.Sprint(want), fmt.Sprint(session.Values))
			})
		}
	}
}

// TestKeys: cookies of an old key are good as long as that key is there.
func TestKeys(t *testing.T) {
	t.Parallel()
	store := open(t)
	cookie := save(t, gorillastore.New(store, key), nil, "user", "ann")

	newer := []byte("another authentication key, newer")
	both := gorillastore.New(store, newer, nil, key, nil)
	_, session := get(t, both, cookie)
	require.Equal(t, "ann", session.Values["user"])
	renewed := save(t, both, cookie, "n", 1)
	_, session = get(t, gorillastore.New(store, newer), renewed)
	require.Equal(t, "ann", session.Values["user"])
	for _, s := range []*gorillastore.Store{gorillastore.New(store, newer), gorillastore.New(store)} {
		_, session = get(t, s, cookie)
		require.True(t, session.IsNew, "an unknown signature is no error")
		require.Empty(t, session.ID)
	}

	plain := save(t, gorillastore.New(store), nil, "user", "bob")
	require.Len(t, plain.Result().Cookies()[0].Value, 43)
	_, session = get(t, gorillastore.New(store), plain)
	require.Equal(t, "bob", session.Values["user"])
}

// TestSignedID: a cookie that is signed as it should be, with an id that the store did not make, leads nowhere.
func TestSignedID(t *testing.T) {
	t.Parallel()
	s := gorillastore.New(open(t), key)
	value, err := securecookie.EncodeMulti("session", "chosen-by-someone", s.Codecs...)
	require.NoError(t, err)
	w := httptest.NewRecorder()
	http.SetCookie(w, &http.Cookie{Name: "session", Value: value})
	r, session := get(t, s, w)
	require.True(t, session.IsNew)
	session.ID = "chosen-by-someone"
	session.Values["user"] = "ann"
	w = httptest.NewRecorder()
	require.NoError(t, session.Save(r, w))
	require.NotEqual(t, "chosen-by-someone", session.ID)
}

func TestMaxAge(t *testing.T) {
	t.Parallel()
	s := gorillastore.New(open(t), key)
	r, session := get(t, s, nil)
	w := httptest.NewRecorder()
	require.NoError(t, session.Save(r, w))
	require.Empty(t, w.Result().Cookies(), "who stored nothing gets no cookie")

	cookie := save(t, s, nil, "user", "ann")
	require.Equal(t, 30*24*60*60, cookie.Result().Cookies()[0].MaxAge)
	r, session = get(t, s, cookie)
	id := session.ID
	session.Options.MaxAge = -1
	w = httptest.NewRecorder()
	require.NoError(t, session.Save(r, w))
	require.Equal(t, -1, w.Result().Cookies()[0].MaxAge)
	_, ended := get(t, s, cookie)
	require.True(t, ended.IsNew)

	session.Options.MaxAge = 0 // saved again, it is another one
	w = httptest.NewRecorder()
	require.NoError(t, session.Save(r, w))
	require.NotEqual(t, id, session.ID)
	require.Zero(t, w.Result().Cookies()[0].MaxAge)
	_, session = get(t, s, w)
	require.Equal(t, "ann", session.Values["user"])
}

// TestErrors: what could not be loaded is not saved over.
func TestErrors(t *testing.T) {
	t.Parallel()
	store := open(t)
	s := gorillastore.New(store, key)
	cookie := save(t, s, nil, "user", "ann")
	r, loaded := get(t, s, cookie)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	failed := request(cookie).WithContext(ended)
	session, err := s.Get(failed, "session")
	require.ErrorIs(t, err, context.Canceled)
	require.NotNil(t, session)
	session.Values["user"] = "nobody"
	w := httptest.NewRecorder()
	require.ErrorIs(t, session.Save(request(cookie), w), context.Canceled)
	require.Empty(t, w.Result().Cookies())
	require.ErrorIs(t, s.Renew(r, session), context.Canceled)

	loaded.Values["n"] = struct{ f func() }{}
	require.Error(t, loaded.Save(r, httptest.NewRecorder()))
	s.Serializer = gorillastore.JSON{}
	_, err = s.Get(request(cookie), "session")
	require.ErrorContains(t, err, "decoding session")
	_, fresh := get(t, s, nil)
	fresh.Values[1] = "x"
	require.ErrorContains(t, fresh.Save(request(nil), httptest.NewRecorder()), "JSON takes strings only")
}

func TestRenew(t *testing.T) {
	t.Parallel()
	store := open(t)
	s := gorillastore.New(store, key)
	cookie := save(t, s, nil, "cart", "tea")
	r, session := get(t, s, cookie)
	old := session.ID
	save(t, s, cookie, "seen", true) // another request
	session.Values["user"] = "ann"
	require.NoError(t, s.Renew(r, session))
	require.NotEqual(t, old, session.ID)
	w := httptest.NewRecorder()
	require.NoError(t, session.Save(r, w))
	_, err := store.Load(t.Context(), old)
	require.ErrorIs(t, err, entsession.ErrNotFound)
	_, session = get(t, s, w)
	require.Equal(t, map[any]any{"cart": "tea", "seen": true, "user": "ann"}, session.Values)

	r, session = get(t, s, w)
	require.NoError(t, store.Delete(t.Context(), session.ID))
	require.ErrorIs(t, s.Renew(r, session), entsession.ErrNotFound, "no sign-in into a session that was revoked")
	_, fresh := get(t, s, nil)
	require.NoError(t, s.Renew(r, fresh))
}

// changing is a Serializer that calls f before the nth payload is decoded.
type changing struct {
	gorillastore.JSON
	n *int
	f func()
}

func (c changing) Deserialize(data []byte) (map[any]any, error) {
	if *c.n--; *c.n == 0 {
		c.f()
	}
	return c.JSON.Deserialize(data)
}

// TestRenewUndecodable: a newer version of the application writes what this one does not read. Nobody is signed out by that.
func TestRenewUndecodable(t *testing.T) {
	t.Parallel()
	store := open(t)
	s := gorillastore.New(store, key)
	decoded := 0
	var id string
	s.Serializer = changing{n: &decoded, f: func() {
		_, err := store.Update(t.Context(), id, func(s *entsession.Session) error { s.Data = []byte("newer"); return nil })
		require.NoError(t, err)
	}}
	stillThere := func(id string) {
		t.Helper()
		held, err := store.Load(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, "newer", string(held.Data))
	}

	// Written since this request has loaded the session: it keeps the id that the client has.
	cookie := save(t, s, nil, "cart", "tea")
	r, session := get(t, s, cookie)
	id, decoded = session.ID, 1 // what this request has loaded
	require.ErrorContains(t, s.Renew(r, session), "decoding session")
	require.Equal(t, id, session.ID)
	stillThere(id)

	// Written between the last look and the new id: Save tells the client of it.
	cookie = save(t, s, nil, "cart", "tea")
	r, session = get(t, s, cookie)
	id, decoded = session.ID, 2 // the last look
	require.ErrorContains(t, s.Renew(r, session), "decoding session")
	require.NotEqual(t, id, session.ID)
	session.Values["user"] = "ann"
	w := httptest.NewRecorder()
	require.ErrorContains(t, session.Save(r, w), "decoding session")
	require.ErrorContains(t, s.Renew(r, session), "decoding session", "again")
	var now string
	require.NoError(t, securecookie.DecodeMulti("session", w.Result().Cookies()[0].Value, &now, s.Codecs...))
	require.Equal(t, session.ID, now)
	stillThere(now)
	_, err := store.Load(t.Context(), id)
	require.ErrorIs(t, err, entsession.ErrNotFound)

	session.Options.MaxAge = -1 // and it can be ended
	require.NoError(t, session.Save(r, httptest.NewRecorder()))
	_, err = store.Load(t.Context(), now)
	require.ErrorIs(t, err, entsession.ErrNotFound)
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

	adapter := gorillastore.New(store, []byte("an authentication key of 32 bytes"))
	handler := func(w http.ResponseWriter, r *http.Request) {
		session, err := adapter.Get(r, "session")
		if err != nil {
			http.Error(w, "please try again", http.StatusServiceUnavailable)
			return
		}
		visits, _ := session.Values["visits"].(int)
		session.Values["visits"] = visits + 1
		if err := session.Save(r, w); err != nil {
			http.Error(w, "please try again", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintf(w, "visit %d", visits+1)
	}

	request := httptest.NewRequest("GET", "/", nil)
	for range 2 {
		response := httptest.NewRecorder()
		handler(response, request)
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

// TestEndUndecodable: a sign-out is final also if this program can't read the session: another one can.
func TestEndUndecodable(t *testing.T) {
	t.Parallel()
	store := open(t)
	other := gorillastore.New(store, key)
	other.Serializer = gorillastore.JSON{}
	cookie := save(t, other, nil, "user", "ann")

	s := gorillastore.New(store, key)
	r := request(cookie)
	session, err := s.Get(r, "session")
	require.ErrorContains(t, err, "decoding session")
	session.Options.MaxAge = -1
	w := httptest.NewRecorder()
	require.NoError(t, session.Save(r, w))
	require.Contains(t, w.Header().Get("Set-Cookie"), "Max-Age=0")
	_, found := get(t, other, cookie)
	require.True(t, found.IsNew, "it was signed out")
}

// TestNames: with a key, a cookie leads to nothing under another name.
func TestNames(t *testing.T) {
	t.Parallel()
	s := gorillastore.New(open(t), key)
	w := save(t, s, nil, "user", "whoever")
	r := httptest.NewRequest("GET", "/", nil)
	r.AddCookie(&http.Cookie{Name: "admin", Value: w.Result().Cookies()[0].Value})
	found, err := s.Get(r, "admin")
	require.NoError(t, err)
	require.True(t, found.IsNew)
}

// TestNoVersion: a table with an empty payload and without the version column.
func TestNoVersion(t *testing.T) {
	t.Parallel()
	for _, conflicts := range []gorillastore.Conflicts{gorillastore.Merge, gorillastore.Refuse, gorillastore.Overwrite} {
		store := sessiontest.New(t, func(o *sessiontest.Options) {
			o.PlainIDs = true
			o.Schema = func(ctx context.Context, drv dialect.Driver) error {
				for _, text := range []string{
					"CREATE TABLE sessions (id char(72) PRIMARY KEY, data text, timeout integer NOT NULL)",
					"INSERT INTO sessions VALUES ('adopted', NULL, unixepoch() + 1000)",
				} {
					if err := drv.Exec(ctx, text, []any{}, nil); err != nil {
						return err
					}
				}
				return nil
			}
		})
		s := gorillastore.New(store)
		s.Conflicts = conflicts
		cookie := httptest.NewRecorder()
		http.SetCookie(cookie, &http.Cookie{Name: "session", Value: "adopted"})
		lateRequest, late := get(t, s, cookie)
		w := save(t, s, cookie, "user", "ann")
		require.Equal(t, "adopted", w.Result().Cookies()[0].Value)
		_, found := get(t, s, cookie)
		require.Equal(t, map[any]any{"user": "ann"}, found.Values)
		late.Values["late"] = "yes"
		err := late.Save(lateRequest, httptest.NewRecorder())
		_, found = get(t, s, cookie)
		switch conflicts {
		case gorillastore.Merge:
			require.NoError(t, err)
			require.Equal(t, map[any]any{"user": "ann", "late": "yes"}, found.Values)
		case gorillastore.Refuse:
			require.ErrorIs(t, err, entsession.ErrConflict)
			require.Equal(t, map[any]any{"user": "ann"}, found.Values)
		case gorillastore.Overwrite:
			require.NoError(t, err)
			require.Equal(t, map[any]any{"late": "yes"}, found.Values)
		}
	}
}

// Package flow is what a browser does with a web application, whatever stack it is made with.
//
// The application has GET / (says `user "ann" items ["tea"]`), POST /add?item=…, POST /sign-in?user=…, POST /sign-out, and POST /slow,
// which loads the session, calls hold and then adds the item slow.
package flow

import (
	"context"
	"database/sql"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/internal/dbtest"
	_ "github.com/entsession/entsession/mysql"
	_ "github.com/entsession/entsession/sqlite"
)

// Stack starts an application on a store and tells its URL.
type Stack struct {
	Start func(t *testing.T, store *entsession.Store, hold func()) (url string)
	// Merges says that parallel requests which add different values all have their way.
	Merges bool
	// Columns says that the subject is written.
	Columns bool
	// Error is the status of a request while the store does not work.
	Error int
}

// Handler is the Start of an application of net/http's.
func Handler(app func(store *entsession.Store, hold func()) http.Handler) func(*testing.T, *entsession.Store, func()) string {
	return func(t *testing.T, store *entsession.Store, hold func()) string {
		server := httptest.NewServer(app(store, hold))
		t.Cleanup(server.Close)
		return server.URL
	}
}

// Listener runs an application that has a server of its own, until the test ends, and tells its URL.
func Listener(t *testing.T, serve func(net.Listener) error, shutdown func() error) (url string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- serve(l) }()
	t.Cleanup(func() {
		require.NoError(t, shutdown())
		require.NoError(t, <-done)
	})
	return "http://" + l.Addr().String()
}

var ctx = context.Background()

// Databases that the flow runs on.
var Databases = []string{"sqlite", "postgres15", "mariadb"}

// Run has a browser use the application on each database.
func Run(t *testing.T, stack Stack) {
	tests := map[string]func(*env){
		"Visit": visit, "SignIn": signIn, "Parallel": parallel, "SignOut": signOut, "Expire": expire, "RevokedUnderWay": revokedUnderWay,
		"PurgedUnderWay": purgedUnderWay, "ExpiredUnderWay": expiredUnderWay, "Fixation": fixation, "Closed": closed, "Idle": idle,
	}
	for _, kind := range dbtest.Kinds() {
		for _, name := range Databases {
			if kind.Name != name {
				continue
			}
			for test, f := range tests {
				t.Run(kind.Name+"/"+test, func(t *testing.T) {
					t.Parallel()
					f(start(t, kind, stack))
				})
			}
		}
	}
}

type env struct {
	*testing.T
	stack   Stack
	store   *entsession.Store
	db      *sql.DB
	dialect string
	url     string
	held    chan struct{} // a request is in hold
	release chan struct{}
}

func start(t *testing.T, kind dbtest.Kind, stack Stack) *env { return startOn(t, kind.New(t), stack) }

func startOn(t *testing.T, db *dbtest.DB, stack Stack) *env {
	kind := db.Kind
	cfg := entsession.Config{
		Driver:   map[string]string{dbtest.Postgres: "postgres", dbtest.MySQL: "mysql", dbtest.SQLite: "sqlite"}[kind.Dialect],
		Database: db.Name, Username: db.User, Password: db.Password, Hostname: db.Host, Port: db.Port,
		DisableAutopurge: true, PurgeGrace: -1,
	}
	if kind.Dialect == dbtest.SQLite {
		cfg.Database, cfg.Params = db.File, map[string]string{"synchronous": "off"}
	}
	store, err := entsession.Open(ctx, cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	require.NoError(t, store.Migrate(ctx))
	e := serve(t, func(hold func()) string { return stack.Start(t, store, hold) })
	e.stack, e.store, e.db, e.dialect = stack, store, db.Admin(t), kind.Dialect
	return e
}

// serve starts an application.
func serve(t *testing.T, start func(hold func()) (url string)) *env {
	e := &env{T: t, held: make(chan struct{}), release: make(chan struct{})}
	over := make(chan struct{})
	e.url = start(func() {
		select {
		case e.held <- struct{}{}:
		case <-over:
			return
		}
		select {
		case <-e.release:
		case <-over:
		}
	})
	t.Cleanup(func() { close(over) }) // a test that fails must not leave a request behind, which the server would wait for
	return e
}

func (e *env) rows() (n int) {
	e.Helper()
	require.NoError(e, e.db.QueryRow("SELECT COUNT(*) FROM sessions WHERE timeout > 0").Scan(&n))
	return n
}

// expireAll ends all sessions behind everyone's back.
func (e *env) expireAll() {
	e.Helper()
	_, err := e.db.Exec("UPDATE sessions SET timeout = 1000")
	require.NoError(e, err)
}

// browser has a cookie jar.
type browser struct {
	*env
	client *http.Client
}

func (e *env) browser() *browser {
	jar, err := cookiejar.New(nil)
	require.NoError(e, err)
	transport := &http.Transport{}
	e.Cleanup(transport.CloseIdleConnections)
	return &browser{e, &http.Client{Jar: jar, Transport: transport}}
}

// do sends a request and gives the status and the text.
func (b *browser) do(method, path string) (int, string) {
	b.Helper()
	req, err := http.NewRequest(method, b.url+path, nil)
	require.NoError(b, err)
	return b.send(req)
}

func (b *browser) send(req *http.Request) (int, string) {
	b.Helper()
	res, err := b.client.Do(req)
	require.NoError(b, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(b, err)
	return res.StatusCode, string(text)
}

// ok is do for what is to succeed.
func (b *browser) ok(method, path string) string {
	b.Helper()
	status, text := b.do(method, path)
	require.Equal(b, http.StatusOK, status, "%s %s: %s", method, path, text)
	return text
}

// cookie is the value of the one cookie that the browser has; "": none.
func (b *browser) cookie() string {
	b.Helper()
	u, err := url.Parse(b.url)
	require.NoError(b, err)
	cookies := b.client.Jar.Cookies(u)
	if len(cookies) == 0 {
		return ""
	}
	require.Len(b, cookies, 1)
	return cookies[0].Value
}

// with is another browser that has a cookie of this one's name.
func (b *browser) with(value string) *browser {
	b.Helper()
	u, err := url.Parse(b.url)
	require.NoError(b, err)
	cookies := b.client.Jar.Cookies(u)
	require.Len(b, cookies, 1)
	other := b.browser()
	other.client.Jar.SetCookies(u, []*http.Cookie{{Name: cookies[0].Name, Value: value}})
	return other
}

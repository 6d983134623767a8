package flow

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/internal/dbtest"
)

// Restart has browsers use applications of several stacks while their database is away, and after. They share a server, which is stopped
// and started once for all of them; a SQLite file is closed and opened again, as by a process that is restarted.
func Restart(t *testing.T, stacks map[string]Stack) {
	for _, kind := range dbtest.Kinds() {
		switch kind.Name {
		case "sqlite":
			t.Run(kind.Name, func(t *testing.T) {
				t.Parallel()
				reopened(t, kind, stacks)
			})
		case "postgres15", "mariadb":
			t.Run(kind.Name, func(t *testing.T) {
				t.Parallel()
				restarted(t, kind, stacks)
			})
		}
	}
}

// user is someone who has signed in and goes on.
type user struct {
	*browser
	name   string
	cookie string // that of the sign-in
	during []answer
}

// answer to a request in an outage.
type answer struct {
	what    string
	status  int
	cookies []*http.Cookie
}

func signedIn(e *env, name string) *user {
	u := &user{browser: e.browser(), name: name}
	u.ok("POST", "/add?item=tea")
	u.ok("POST", "/sign-in?user=ann")
	u.cookie = u.browser.cookie()
	return u
}

func restarted(t *testing.T, kind dbtest.Kind, stacks map[string]Stack) {
	server := kind.Start(t)
	var users []*user
	for name, stack := range stacks {
		users = append(users, signedIn(start(t, server.AsKind(), stack), name))
	}
	// Two requests of each have loaded the session, and are to write it.
	late := map[*user]chan answer{}
	for _, u := range users {
		late[u] = make(chan answer, 2)
		for range 2 {
			go func() { late[u] <- u.ask("POST", "/slow") }()
			<-u.held
		}
	}

	require.NoError(t, server.Shutdown())
	for _, u := range users {
		u.release <- struct{}{}
	}
	outage(users)
	for _, u := range users {
		u.during = append(u.during, <-late[u])
		u.outlived()
	}

	require.NoError(t, server.Restart())
	for _, u := range users {
		u.back(`user "ann" items ["tea"]`)
		u.release <- struct{}{}
		require.Equal(u, http.StatusOK, (<-late[u]).status, "%s: a request that was under way before the outage", u.name)
		u.goesOn(`user "ann" items ["slow" "tea"]`)
	}
}

func reopened(t *testing.T, kind dbtest.Kind, stacks map[string]Stack) {
	for name, stack := range stacks {
		db := kind.New(t)
		u := signedIn(startOn(t, db, stack), name)
		require.NoError(t, u.store.Close())
		outage([]*user{u})
		u.outlived()
		again := startOn(t, db, stack)
		u.url, u.store = again.url, again.store // of the same host: the cookie goes there too
		u.back(`user "ann" items ["tea"]`)
		u.goesOn(`user "ann" items ["tea"]`)
	}
}

// outage has each ask for everything.
func outage(users []*user) {
	var all sync.WaitGroup
	for _, u := range users {
		paths := [][2]string{{"GET", "/"}, {"POST", "/add?item=lost"}, {"POST", "/sign-in?user=eve"}, {"POST", "/sign-out"}}
		u.during = make([]answer, len(paths))
		for i, p := range paths {
			all.Go(func() { u.during[i] = u.ask(p[0], p[1]) })
		}
	}
	all.Wait()
}

// ask sends a request. A status of 0 is no answer.
func (u *user) ask(method, path string) answer {
	a := answer{what: method + " " + path}
	req, err := http.NewRequest(method, u.url+path, nil)
	if err != nil {
		return a
	}
	res, err := u.client.Do(req)
	if err != nil {
		return a
	}
	defer res.Body.Close()
	a.status = res.StatusCode
	a.cookies = res.Cookies()
	return a
}

// outlived: each request was told that something went wrong, and none that nobody is signed in.
func (u *user) outlived() {
	u.Helper()
	for _, a := range u.during {
		require.GreaterOrEqual(u, a.status, 500, "%s: %s", u.name, a.what)
		for _, c := range a.cookies { // fiber repeats it
			require.Equal(u, u.cookie, c.Value, "%s: %s", u.name, a.what)
		}
	}
	require.Equal(u, u.cookie, u.browser.cookie(), u.name)
}

// back: until the store has noticed that its database is there again a request may fail, and never finds nobody signed in.
func (u *user) back(want string) {
	u.Helper()
	for deadline := time.Now().Add(time.Minute); ; <-time.After(20 * time.Millisecond) {
		status, text := u.do("GET", "/")
		if status == http.StatusOK {
			require.Equal(u, want, text, u.name)
			break
		}
		require.GreaterOrEqual(u, status, 500, u.name)
		require.True(u, time.Now().Before(deadline), "%s: still %d %s", u.name, status, text)
	}
	require.Equal(u, u.cookie, u.browser.cookie(), u.name)
}

// goesOn uses the session of before as if nothing had happened.
func (u *user) goesOn(want string) {
	u.Helper()
	require.Equal(u, want, u.ok("GET", "/"), u.name)
	u.ok("POST", "/sign-in?user=ann")
	require.NotEqual(u, u.cookie, u.browser.cookie(), u.name)
	require.Equal(u, want, u.ok("GET", "/"), u.name)
	u.ok("POST", "/sign-out")
	require.Equal(u, nobody, u.ok("GET", "/"), u.name)
	_, err := u.store.Load(ctx, u.cookie)
	require.ErrorIs(u, err, entsession.ErrNotFound, u.name)
}

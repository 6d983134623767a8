package flow

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/internal/dbtest"
)

// Differences are all that a browser can tell two stores of a stack apart by while nothing fails. docs/adapters.md lists them.
type Differences struct {
	// Revives: a request that was under way when its session was signed out brings it back.
	Revives bool
	// Loses: of two values that two requests at once put into one session, one is lost.
	Loses bool
	// Keeps: a cookie from before the sign-in, or the sign-out, is as good as ever: there is nothing on the server that could end.
	Keeps bool
	// Refuses: a cookie that the server did not make is an error, not a visitor.
	Refuses bool
}

// Compare has a browser use a stack with a store of this project's, and with one of the stack's own.
func Compare(t *testing.T, ours Stack, own func(t *testing.T, hold func()) (url string), with, without Differences) {
	t.Parallel()
	for _, kind := range dbtest.Kinds(dbtest.SQLite) {
		t.Run("entsession", func(t *testing.T) {
			t.Parallel()
			require.Equal(t, with, compared(start(t, kind, ours)))
		})
	}
	t.Run("own", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, without, compared(serve(t, func(hold func()) string { return own(t, hold) })))
	})
}

// compared requires what is the same everywhere, and tells what is not.
func compared(e *env) (d Differences) {
	visitor := e.browser()
	require.Equal(e, nobody, visitor.ok("GET", "/"))
	require.Equal(e, nobody, visitor.ok("GET", "/"))

	b := e.browser()
	b.ok("POST", "/add?item=tea")
	require.Equal(e, `user "" items ["tea"]`, b.ok("GET", "/"))
	before := b.with(b.cookie())
	b.ok("POST", "/sign-in?user=ann")
	require.NotEqual(e, before.cookie(), b.cookie())
	const signedIn = `user "ann" items ["tea"]`
	require.Equal(e, signedIn, b.ok("GET", "/"))
	oldOpens := e.either(before, nobody, `user "" items ["tea"]`)

	for _, made := range []string{"chosen-by-an-attacker-43-characters-of-it-000", "x"} {
		victim := b.with(made)
		if status, text := victim.do("GET", "/"); status != http.StatusOK {
			d.Refuses = true
			continue
		} else {
			require.Equal(e, nobody, text)
		}
		victim.ok("POST", "/sign-in?user=eve")
		require.NotEqual(e, made, victim.cookie())
		require.Equal(e, `user "eve" items []`, victim.ok("GET", "/"))
		require.Equal(e, nobody, b.with(made).ok("GET", "/"))
	}

	// Two requests at once: the one that has loaded the session first writes it last.
	slow := b.slow()
	b.ok("POST", "/add?item=milk")
	e.release <- struct{}{}
	require.Equal(e, http.StatusOK, <-slow)
	d.Loses = e.either(b, `user "ann" items ["milk" "slow" "tea"]`, `user "ann" items ["slow" "tea"]`)

	// Signed out in another tab, while a request is under way.
	tab, stolen := b.with(b.cookie()), b.with(b.cookie())
	held := stolen.ok("GET", "/")
	slow = b.slow()
	tab.ok("POST", "/sign-out")
	require.Equal(e, nobody, tab.ok("GET", "/"))
	e.release <- struct{}{}
	require.Equal(e, http.StatusOK, <-slow)
	d.Revives = e.either(b, nobody, held)

	b = e.browser()
	b.ok("POST", "/sign-in?user=ann")
	stolen = b.with(b.cookie())
	b.ok("POST", "/sign-out")
	require.Equal(e, nobody, b.ok("GET", "/"))
	d.Keeps = e.either(stolen, nobody, `user "ann" items []`)
	require.Equal(e, d.Keeps, oldOpens)
	return d
}

// either tells which of two pages a browser sees.
func (e *env) either(b *browser, one, other string) bool {
	e.Helper()
	text := b.ok("GET", "/")
	require.Contains(e, []string{one, other}, text)
	return text == other
}

// slow begins a request that has loaded the session, and waits to be released before it changes it.
func (b *browser) slow() (status chan int) {
	status = make(chan int, 1)
	go func() {
		res, err := b.client.Post(b.url+"/slow", "", nil)
		if err != nil {
			status <- 0
			return
		}
		res.Body.Close()
		status <- res.StatusCode
	}()
	<-b.held
	return status
}

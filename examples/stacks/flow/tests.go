package flow

import (
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/ent/session"
)

const nobody = `user "" items []`

// visit: who stores nothing has no row.
func visit(e *env) {
	b := e.browser()
	require.Equal(e, nobody, b.ok("GET", "/"))
	require.Equal(e, nobody, b.ok("GET", "/"))
	require.Zero(e, e.rows())
}

func signIn(e *env) {
	b := e.browser()
	b.ok("POST", "/add?item=tea")
	before := b.cookie()
	require.NotEmpty(e, before)
	require.Equal(e, `user "" items ["tea"]`, b.ok("GET", "/"))

	b.ok("POST", "/sign-in?user=ann")
	require.NotEqual(e, before, b.cookie(), "a new id")
	require.Equal(e, `user "ann" items ["tea"]`, b.ok("GET", "/"))
	require.Equal(e, nobody, b.with(before).ok("GET", "/"), "the old id is dead")
	require.Equal(e, 1, e.rows())

	b.ok("POST", "/add?item=milk")
	require.Equal(e, `user "ann" items ["milk" "tea"]`, b.ok("GET", "/"))
	if e.stack.Columns {
		n := 0
		for _, err := range e.store.List(ctx, session.Subject("ann")) {
			require.NoError(e, err)
			n++
		}
		require.Equal(e, 1, n)
	}
}

func parallel(e *env) {
	b := e.browser()
	b.ok("POST", "/sign-in?user=ann")
	const n = 12
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			if status, text := b.do("POST", "/add?item="+strconv.Itoa(i)); status != http.StatusOK {
				e.Errorf("status %d: %s", status, text)
			}
		})
	}
	all.Wait()
	text := b.ok("GET", "/")
	require.Contains(e, text, `user "ann" items [`)
	if e.stack.Merges {
		require.Equal(e, n, strings.Count(text, `"`)/2-1, "all items are there: %s", text)
	}
	require.Equal(e, 1, e.rows())
}

func signOut(e *env) {
	b, other := e.browser(), e.browser()
	b.ok("POST", "/sign-in?user=ann")
	other.ok("POST", "/sign-in?user=bob")
	stolen := b.with(b.cookie())
	b.ok("POST", "/sign-out")
	require.Equal(e, nobody, b.ok("GET", "/"))
	require.Equal(e, nobody, stolen.ok("GET", "/"))
	require.Equal(e, `user "bob" items []`, other.ok("GET", "/"))
}

func expire(e *env) {
	b := e.browser()
	b.ok("POST", "/sign-in?user=ann")
	e.expireAll()
	require.Equal(e, nobody, b.ok("GET", "/"))
	expired := b.cookie()
	b.ok("POST", "/add?item=tea")
	require.NotEqual(e, expired, b.cookie(), "a new session under a new id")
	require.Equal(e, `user "" items ["tea"]`, b.ok("GET", "/"))
}

// underWay ends the sessions while a request that has loaded one is under way.
func underWay(e *env, end func()) {
	b := e.browser()
	b.ok("POST", "/sign-in?user=ann")
	again := b.with(b.cookie())
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.do("POST", "/slow")
	}()
	<-e.held
	end()
	close(e.release)
	<-done
	require.Equal(e, nobody, again.ok("GET", "/"))
	require.Equal(e, nobody, b.ok("GET", "/"))
}

func revokedUnderWay(e *env) {
	underWay(e, func() {
		n, err := e.store.Revoke(ctx)
		require.NoError(e, err)
		require.Equal(e, 1, n)
	})
}

// purgedUnderWay: even if nothing is left that tells of the session.
func purgedUnderWay(e *env) {
	underWay(e, func() {
		_, err := e.store.Revoke(ctx)
		require.NoError(e, err)
		_, err = e.db.Exec("DELETE FROM sessions")
		require.NoError(e, err)
	})
	require.Zero(e, e.rows())
}

func expiredUnderWay(e *env) {
	underWay(e, func() {
		e.expireAll()
		n, err := e.store.Purge(ctx)
		require.NoError(e, err)
		require.Equal(e, 1, n)
	})
	require.Zero(e, e.rows())
}

// fixation: an id that the server did not make opens nothing, and never becomes a row.
func fixation(e *env) {
	b := e.browser()
	b.ok("POST", "/add?item=tea")
	for _, made := range []string{"chosen-by-an-attacker-43-characters-of-it-000", "key:x", "' OR 1=1 --", strings.Repeat("x", 3000)} {
		victim := b.with(made)
		require.Equal(e, nobody, victim.ok("GET", "/"))
		victim.ok("POST", "/sign-in?user=ann")
		require.NotEqual(e, made, victim.cookie())
		require.Equal(e, `user "ann" items []`, victim.ok("GET", "/"))
		require.Equal(e, nobody, b.with(made).ok("GET", "/"))
		_, err := e.store.Load(ctx, made)
		require.ErrorIs(e, err, entsession.ErrNotFound)
	}
}

// closed: an error is not taken for "no session".
func closed(e *env) {
	b := e.browser()
	b.ok("POST", "/sign-in?user=ann")
	require.NoError(e, e.store.Close())
	status, text := b.do("GET", "/")
	require.Equal(e, e.stack.Error, status, text)
}

// idle: a request that changes nothing writes nothing.
func idle(e *env) {
	b := e.browser()
	b.ok("POST", "/add?item=tea")
	b.ok("POST", "/add?item=milk")
	b.ok("POST", "/sign-in?user=ann")
	version := func() (v int64) {
		require.NoError(e, e.db.QueryRow("SELECT version FROM sessions WHERE timeout > 0").Scan(&v))
		return v
	}
	before := version()
	for range 5 {
		b.ok("GET", "/")
	}
	require.Equal(e, before, version())
}

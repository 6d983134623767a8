package conformance

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/ent/session"
)

// testFinalityLocked: a third party has the row locked, and a call and a revocation wait for it, one after the other in either order. SQLite locks the
// file, and lets in whoever looks first.
func testFinalityLocked(t *testing.T, e *env) {
	if e.another() {
		return
	}
	look, other := e.store(), e.open()
	for _, call := range callsUnderWay {
		if !call.writes {
			continue
		}
		for i, ending := range endings {
			for _, callFirst := range []bool{true, false} {
				through := []*entsession.Store{look, other}[i%2]
				what := fmt.Sprintf("%s and %s of a locked row, the call first %v, one store %v", ending.name, call.name, callFirst, through == look)
				finalityLocked(t, e, what, call, ending.run, look, through, callFirst)
				e.exec("DELETE FROM sessions")
			}
		}
	}
}

func finalityLocked(t *testing.T, e *env, what string, call underWay, end func(*entsession.Store, string, string) (*entsession.Session, error),
	look, through *entsession.Store, callFirst bool) {
	const subject = "42"
	s := got0(t, look, e.create(look, "x", entsession.Set(session.FieldSubject, subject)).ID())
	id, key := s.ID(), s.Key()
	if call.due {
		e.exec("UPDATE sessions SET timeout = {now} + 5 WHERE id = $1", key)
	}
	type outcome struct {
		fresh *entsession.Session
		err   error
	}
	called, ended := make(chan outcome, 1), make(chan outcome, 1)
	var release func()
	// The conflicts of an Update come before the row is locked; the others' requests all come after.
	ready, locked := make(chan bool), make(chan bool)
	start := func() {
		go func() {
			fresh, err := call.run(e, through, s, func() { ready <- true; <-locked })
			called <- outcome{fresh, err}
		}()
		<-ready
	}
	revoke := func() {
		go func() {
			fresh, err := end(look, id, subject)
			ended <- outcome{fresh, err}
		}()
	}
	start()
	release = e.hold(s)
	if callFirst {
		close(locked)
		e.awaitOrBlocked(1, func() bool { return false })
		revoke()
		e.awaitOrBlocked(2, func() bool { return false })
	} else {
		revoke()
		e.awaitOrBlocked(1, func() bool { return false })
		close(locked)
		e.awaitOrBlocked(2, func() bool { return false })
	}
	require.Empty(t, ended, "%s: the row is locked, and it has returned", what)
	release()
	var got, revoked outcome
	for range 2 {
		select {
		case got = <-called:
		case revoked = <-ended:
			if revoked.err == nil {
				require.False(t, e.live(look, id), "%s: the revocation has returned", what)
			}
		case <-time.After(waitFor):
			t.Fatal(what + ": they hang")
		}
	}
	if got.err != nil {
		require.True(t, errors.Is(got.err, entsession.ErrNotFound) && !call.ends, "%s: %v", what, got.err)
	}
	e.requireFinal(what, id, key, subject, got.fresh, revoked.fresh, revoked.err, look)
	if strings.HasPrefix(what, "Revoke and") || call.name == "Revoke" {
		require.Zero(t, e.int("SELECT count(*) FROM sessions WHERE subject = $1 AND timeout >= {now}", subject), "%s: a session of the subject's outlived it", what)
	}
}

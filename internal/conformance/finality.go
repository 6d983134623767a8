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
	"github.com/entsession/entsession/internal/dbtest"
)

// Revocation is final, with a barrier: each call there is, is held at each of its requests, before the server gets it or before the store gets the
// answer, while the session is revoked in each of the ways there are. Then it is let go. finality_locked.go has the same for those who wait for a row.

// underWay is a call that is under way when its session is revoked.
type underWay struct {
	name string
	// run calls ready where its requests begin, and returns the session that it has made, if it makes one.
	run func(e *env, store *entsession.Store, s *entsession.Session, ready func()) (*entsession.Session, error)
	// due makes the session's renewal due before.
	due bool
	// ends is set for those that end the session themselves, and writes for all that change a row.
	ends, writes bool
}

var callsUnderWay = append([]underWay{
	{name: "Load", run: func(e *env, store *entsession.Store, s *entsession.Session, ready func()) (*entsession.Session, error) {
		ready()
		_, err := store.Load(ctx, s.ID())
		return nil, err
	}},
	{name: "List", run: func(e *env, store *entsession.Store, s *entsession.Session, ready func()) (*entsession.Session, error) {
		ready()
		return nil, listed(store, s)
	}},
	{name: "ListBySubject", run: func(e *env, store *entsession.Store, s *entsession.Session, ready func()) (*entsession.Session, error) {
		ready()
		subject, err := entsession.Get[string](s, session.FieldSubject)
		require.NoError(e, err)
		return nil, listed(store, s, subject)
	}},
	{name: "Save", writes: true, run: func(e *env, store *entsession.Store, s *entsession.Session, ready func()) (*entsession.Session, error) {
		ready()
		s.Data = []byte("saved")
		return nil, store.Save(ctx, s)
	}},
	{name: "SaveUnchanged", run: func(e *env, store *entsession.Store, s *entsession.Session, ready func()) (*entsession.Session, error) {
		ready()
		return nil, store.Save(ctx, s)
	}},
	{name: "SaveUnchangedDue", writes: true, due: true, run: func(e *env, store *entsession.Store, s *entsession.Session, ready func()) (*entsession.Session, error) {
		ready()
		return nil, store.Save(ctx, s)
	}},
	{name: "Update", writes: true, run: func(e *env, store *entsession.Store, s *entsession.Session, ready func()) (*entsession.Session, error) {
		ready()
		_, err := store.Update(ctx, s.ID(), increment0)
		return nil, err
	}},
	{name: "UpdateWithLock", writes: true, run: func(e *env, store *entsession.Store, s *entsession.Session, ready func()) (*entsession.Session, error) {
		runs := 0
		_, err := store.Update(ctx, s.ID(), func(s *entsession.Session) error {
			if runs++; runs <= 3 { // three conflicts, and it takes the lock
				e.exec("UPDATE sessions SET version = version + 1 WHERE id = $1", s.Key())
			}
			if runs == 3 {
				ready()
			}
			return increment0(s)
		})
		return nil, err
	}},
	{name: "Touch", run: func(e *env, store *entsession.Store, s *entsession.Session, ready func()) (*entsession.Session, error) {
		ready()
		return nil, store.Touch(ctx, s.ID())
	}},
	{name: "TouchDue", writes: true, due: true, run: func(e *env, store *entsession.Store, s *entsession.Session, ready func()) (*entsession.Session, error) {
		ready()
		return nil, store.Touch(ctx, s.ID())
	}},
	{name: "Rotate", writes: true, run: func(e *env, store *entsession.Store, s *entsession.Session, ready func()) (*entsession.Session, error) {
		ready()
		return store.Rotate(ctx, s.ID())
	}},
	{name: "RotateWithColumns", writes: true, run: func(e *env, store *entsession.Store, s *entsession.Session, ready func()) (*entsession.Session, error) {
		ready()
		subject, _ := s.Get(session.FieldSubject)
		return store.Rotate(ctx, s.ID(), entsession.Set(session.FieldSubject, subject))
	}},
	{name: "Delete", writes: true, ends: true, run: func(e *env, store *entsession.Store, s *entsession.Session, ready func()) (*entsession.Session, error) {
		ready()
		return nil, store.Delete(ctx, s.ID())
	}},
	{name: "Revoke", writes: true, ends: true, run: func(e *env, store *entsession.Store, s *entsession.Session, ready func()) (*entsession.Session, error) {
		subject, err := entsession.Get[string](s, session.FieldSubject)
		require.NoError(e, err)
		ready()
		_, err = store.Revoke(ctx, session.Subject(subject))
		return nil, err
	}},
}, putsUnderWay...)

// listed looks for a session in a list: one that is not there is ErrNotFound.
func listed(store *entsession.Store, s *entsession.Session, subject ...string) error {
	list := store.List(ctx)
	if len(subject) > 0 {
		list = store.List(ctx, session.SubjectIn(subject...))
	}
	found := entsession.ErrNotFound
	for got, err := range list {
		if err != nil {
			return err
		}
		if got.Key() == s.Key() {
			found = nil
		}
	}
	return found
}

// endings revoke the session of a subject, and return the session that takes its place if one does.
var endings = []struct {
	name string
	run  func(store *entsession.Store, id, subject string) (*entsession.Session, error)
}{
	{"Delete", func(store *entsession.Store, id, _ string) (*entsession.Session, error) {
		return nil, store.Delete(ctx, id)
	}},
	{"Revoke", func(store *entsession.Store, _, subject string) (*entsession.Session, error) {
		_, err := store.Revoke(ctx, session.Subject(subject))
		return nil, err
	}},
	{"Rotate", func(store *entsession.Store, id, _ string) (*entsession.Session, error) { return store.Rotate(ctx, id) }},
}

// testFinality takes the call and the revocation through one store and through two, in turns.
func testFinality(t *testing.T, e *env) {
	if e.another() {
		return
	}
	look := e.store()
	stores := []gated{e.gated(func(c *entsession.Config) { c.MaxOpenConns = 1 }), e.gated(func(c *entsession.Config) { c.MaxOpenConns = 4 })}
	cases, before := 0, 0
	for _, call := range callsUnderWay {
		for i, ending := range endings {
			for n := 1; ; n++ {
				through := stores[(n+i)%2]
				revoking := look
				if through.Store == stores[1].Store {
					revoking = through.Store
				}
				some := false
				for _, answer := range []bool{false, true} {
					what := fmt.Sprintf("%s during %s, request %d, answer %v, one store %v", ending.name, call.name, n, answer, revoking != look)
					held, first := finality(t, e, what, call, ending.run, look, through, revoking, n, answer)
					some = some || held
					cases++
					if first {
						before++
					}
					if t.Failed() {
						return
					}
				}
				if !some {
					break
				}
				require.Less(t, n, 30)
			}
		}
	}
	t.Logf("%d cases; in %d the revocation had returned before the call was let go", cases, before)
	require.Greater(t, before, 50)
}

// finality is one case. It tells whether the call had as many requests, and whether the revocation had returned when it was let go.
func finality(t *testing.T, e *env, what string, call underWay, end func(*entsession.Store, string, string) (*entsession.Session, error),
	look *entsession.Store, through gated, revoking *entsession.Store, n int, answer bool) (held, before bool) {
	prepare := func(subject string) *entsession.Session {
		s := got0(t, look, e.create(look, "x", entsession.Set(session.FieldSubject, subject)).ID())
		if call.due {
			e.exec("UPDATE sessions SET timeout = {now} + 5 WHERE id = $1", s.Key())
		}
		return s
	}
	// Once undisturbed, so that there is a connection that knows the statements: every request is one of the call's own then.
	_, err := call.run(e, through.Store, prepare("warm"), func() {})
	require.NoError(t, err, what)
	e.exec("DELETE FROM sessions")

	const subject = "42"
	s := prepare(subject)
	id, key := s.ID(), s.Key()
	g := newGate(n, answer)
	defer g.letGo()
	defer through.hold(nil)
	type outcome struct {
		fresh *entsession.Session
		err   error
	}
	called, ended := make(chan outcome, 1), make(chan outcome, 1)
	go func() {
		fresh, err := call.run(e, through.Store, s, func() { through.hold(g) })
		called <- outcome{fresh, err}
	}()
	select {
	case <-g.held:
	case got := <-called: // it has fewer requests
		require.NoError(t, got.err, what)
		return false, false
	case <-time.After(waitFor):
		t.Fatal(what + ": it is neither held nor done")
	}
	go func() {
		fresh, err := end(revoking, id, subject)
		ended <- outcome{fresh, err}
	}()
	e.awaitOrBlocked(1, func() bool { return len(ended) > 0 })
	before = len(ended) > 0
	if before {
		require.False(t, e.live(look, id), "%s: the revocation has returned", what)
	}
	g.letGo()
	var got, revoked outcome
	select {
	case got = <-called:
	case <-time.After(waitFor):
		t.Fatal(what + ": it was let go, and hangs")
	}
	select {
	case revoked = <-ended:
	case <-time.After(waitFor):
		t.Fatal(what + ": the revocation hangs")
	}
	if got.err != nil {
		require.Equal(t, entsession.ErrNotFound, got.err, what)
		require.False(t, call.ends, "%s: that there is nothing to end is no error", what)
	} else if before && !answer && !call.ends {
		t.Errorf("%s: it was let go after the revocation, and succeeded", what)
	}
	e.requireFinal(what, id, key, subject, got.fresh, revoked.fresh, revoked.err, look)
	if strings.HasPrefix(what, "Revoke during") || call.name == "Revoke" {
		require.Zero(t, e.int("SELECT count(*) FROM sessions WHERE subject = $1 AND timeout >= {now}", subject), "%s: a session of the subject's outlived it", what)
	}
	e.exec("DELETE FROM sessions")
	return true, before
}

// requireFinal looks at what a revocation and a call have left: the id is dead, its row holds nothing, and of two who gave it a new one at most one has.
func (e *env) requireFinal(what, id, key, subject string, called, revoked *entsession.Session, err error, look *entsession.Store) {
	e.Helper()
	if err != nil { // a Rotate that came too late
		require.True(e, errors.Is(err, entsession.ErrNotFound), "%s: %v", what, err)
	}
	require.False(e, e.live(look, id), "%s: the id was loaded again", what)
	require.Zero(e, e.int("SELECT count(*) FROM sessions WHERE id = $1 AND (timeout >= 0 OR data <> '')", key), "%s: a tombstone holds nothing", what)
	require.False(e, called != nil && revoked != nil, "%s: both gave it a new id", what)
	live := e.int("SELECT count(*) FROM sessions WHERE subject = $1 AND timeout >= {now}", subject)
	if called == nil && revoked == nil {
		require.Zero(e, live, "%s: nobody was given a new id, and a session lives", what)
		return
	}
	require.LessOrEqual(e, live, int64(1), what)
}

// awaitOrBlocked waits until something is done, or so many wait for a lock. Of SQLite nobody can tell, who only looks again and again: there the
// wait is short.
func (e *env) awaitOrBlocked(n int64, done func() bool) {
	e.Helper()
	limit := time.Second // those who wait for a connection, say
	if e.db.Kind.Dialect == dbtest.SQLite {
		limit = 15 * time.Millisecond
	}
	for start := time.Now(); !done() && time.Since(start) < limit; time.Sleep(time.Millisecond) {
		if e.db.Kind.Dialect != dbtest.SQLite && e.waiting() >= n {
			return
		}
	}
}

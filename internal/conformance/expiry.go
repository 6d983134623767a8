package conformance

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/internal/dbtest"
)

func testExpiryIsFinal(t *testing.T, e *env) {
	store := e.store()
	s := e.create(store, "x", entsession.Set("subject", "42"))
	e.expire(s)
	before := e.text("SELECT CONCAT(data, '|', timeout, '|', version, '|', subject) FROM sessions WHERE id = $1", s.Key())

	_, err := store.Load(ctx, s.ID())
	require.Equal(t, entsession.ErrNotFound, err)
	require.Equal(t, entsession.ErrNotFound, store.Save(ctx, s))
	require.Equal(t, entsession.ErrNotFound, store.Touch(ctx, s.ID()))
	_, err = store.Update(ctx, s.ID(), func(*entsession.Session) error { t.Error("called"); return nil })
	require.Equal(t, entsession.ErrNotFound, err)
	_, err = store.Rotate(ctx, s.ID())
	require.Equal(t, entsession.ErrNotFound, err)
	for range store.List(ctx) {
		t.Error("listed")
	}
	n, err := store.Revoke(ctx)
	require.NoError(t, err)
	require.Zero(t, n)
	require.NoError(t, store.Delete(ctx, s.ID()))
	require.Equal(t, before, e.text("SELECT CONCAT(data, '|', timeout, '|', version, '|', subject) FROM sessions WHERE id = $1", s.Key()), "nothing wrote to the row")
	require.EqualValues(t, 1, e.int("SELECT count(*) FROM sessions"))

	// In its last second it is live.
	live := e.create(store, "y")
	for range 20 { // the clock may tick between the two statements
		e.exec("UPDATE sessions SET timeout = {now} WHERE id = $1", live.Key())
		if e.live(store, live.ID()) {
			return
		}
	}
	t.Error("a session was never live in its last second")
}

func testSliding(t *testing.T, e *env) {
	store := e.store(func(c *entsession.Config) { c.ExpirationTimeout, c.TouchInterval = time.Hour, -1 })
	s := e.create(store, "x")
	renewed := func(what string) {
		t.Helper()
		got, err := store.Load(ctx, s.ID())
		require.NoError(t, err)
		require.WithinDuration(t, e.dbNow().Add(time.Hour), got.Expires(), 10*time.Second, what)
		e.exec("UPDATE sessions SET timeout = {now} + 100 WHERE id = $1", s.Key())
	}
	renewed("Create")
	got, err := store.Load(ctx, s.ID())
	require.NoError(t, err)
	require.WithinDuration(t, e.dbNow().Add(100*time.Second), got.Expires(), 10*time.Second, "Load renews nothing")
	require.NoError(t, store.Touch(ctx, s.ID()))
	renewed("Touch")
	require.NoError(t, store.Save(ctx, s))
	require.WithinDuration(t, e.dbNow().Add(time.Hour), s.Expires(), 10*time.Second, "Save tells the new expiry")
	renewed("Save")
	_, err = store.Update(ctx, s.ID(), func(*entsession.Session) error { return nil })
	require.NoError(t, err)
	renewed("Update")
	s, err = store.Rotate(ctx, s.ID())
	require.NoError(t, err)
	renewed("Rotate")
}

func testTouchInterval(t *testing.T, e *env) {
	store := e.store(func(c *entsession.Config) { c.ExpirationTimeout, c.TouchInterval = 1000*time.Second, 100*time.Second })
	s := e.create(store, "x")
	require.WithinDuration(t, e.dbNow().Add(1100*time.Second), s.Expires(), 5*time.Second, "the interval on top")
	timeout := func() int64 { return e.int("SELECT timeout FROM sessions WHERE id = $1", s.Key()) }

	// Less than an interval used up: neither writes the timeout.
	e.exec("UPDATE sessions SET timeout = {now} + 1050 WHERE id = $1", s.Key())
	before := timeout()
	version := e.int("SELECT version FROM sessions WHERE id = $1", s.Key())
	require.NoError(t, store.Touch(ctx, s.ID()))
	require.Equal(t, before, timeout())
	require.NoError(t, store.Save(ctx, s))
	require.Equal(t, version, e.int("SELECT version FROM sessions WHERE id = $1", s.Key()), "unchanged: nothing to write")
	require.Equal(t, before, s.Expires().Unix())
	s.Data = []byte("y")
	require.NoError(t, store.Save(ctx, s))
	require.Equal(t, before, timeout())
	require.Equal(t, before, s.Expires().Unix())
	require.NotEqual(t, version, e.int("SELECT version FROM sessions WHERE id = $1", s.Key()), "the payload was saved all the same")

	// More: both do, and never does the session have less than the timeout left.
	for _, renew := range []func() error{
		func() error { return store.Touch(ctx, s.ID()) },
		func() error { return store.Save(ctx, s) }, // of an unchanged session
		func() error { s.Data = []byte("z"); return store.Save(ctx, s) },
	} {
		e.exec("UPDATE sessions SET timeout = {now} + 990 WHERE id = $1", s.Key())
		require.NoError(t, renew())
		require.WithinDuration(t, e.dbNow().Add(1100*time.Second), time.Unix(timeout(), 0), 5*time.Second)
	}
	require.NoError(t, store.Save(ctx, s), "a touch by someone else is no conflict")
}

func testMaxLifetime(t *testing.T, e *env) {
	store := e.store(func(c *entsession.Config) { c.ExpirationTimeout, c.MaxLifetime = time.Hour, 2*time.Hour })
	s := e.create(store, "x")
	require.WithinDuration(t, e.dbNow(), s.Created(), 5*time.Second)
	require.WithinDuration(t, e.dbNow().Add(time.Hour+time.Minute), s.Expires(), 5*time.Second)

	// Created an hour and a half ago: half an hour is left, however often it is renewed.
	e.exec("UPDATE sessions SET created = {now} - 5400, timeout = {now} + 60 WHERE id = $1", s.Key())
	require.NoError(t, store.Touch(ctx, s.ID()))
	got, err := store.Load(ctx, s.ID())
	require.NoError(t, err)
	require.WithinDuration(t, e.dbNow().Add(30*time.Minute), got.Expires(), 5*time.Second)
	require.NoError(t, store.Save(ctx, got))
	require.WithinDuration(t, e.dbNow().Add(30*time.Minute), got.Expires(), 5*time.Second)
	got, err = store.Rotate(ctx, s.ID())
	require.NoError(t, err)
	require.WithinDuration(t, e.dbNow().Add(30*time.Minute), got.Expires(), 5*time.Second, "a new id is no new life")

	// A limit that was lowered since takes effect at the next renewal.
	e.exec("UPDATE sessions SET created = {now} - 7100, timeout = {now} + 99999")
	require.NoError(t, store.Save(ctx, got))
	require.WithinDuration(t, e.dbNow().Add(100*time.Second), got.Expires(), 5*time.Second)

	short := e.open(func(c *entsession.Config) { c.ExpirationTimeout, c.MaxLifetime = time.Hour, time.Minute })
	s = e.create(short, "y")
	require.WithinDuration(t, e.dbNow().Add(time.Minute), s.Expires(), 5*time.Second, "shorter than the timeout")
	require.WithinDuration(t, e.dbNow(), s.Created(), 5*time.Second)
}

func testBeyond2038(t *testing.T, e *env) {
	store := e.store(func(c *entsession.Config) { c.ExpirationTimeout = 30 * 365 * 24 * time.Hour })
	s := e.create(store, "x")
	require.Greater(t, s.Expires().Year(), 2050)
	require.NoError(t, store.Touch(ctx, s.ID()))
	require.NoError(t, store.Save(ctx, s))
	got, err := store.Load(ctx, s.ID())
	require.NoError(t, err)
	require.Greater(t, got.Expires().Year(), 2050)
	require.Equal(t, s.Expires(), got.Expires())
}

// testOneClock runs a store whose host believes that it is the year 2000 (what time.Now says within a synctest bubble) beside one
// with the right time. They agree on every expiry, as both ask the database.
func testOneClock(t *testing.T, e *env) {
	if e.db.Kind.Dialect == dbtest.SQLite {
		// SQLite runs within the host: its clock is the database's.
		s := e.create(e.store(), "x")
		require.WithinDuration(t, time.Now(), s.Created(), 5*time.Second)
		return
	}
	right := e.store()
	mine := e.create(right, "made at the right time")
	dead := e.create(right, "dead")
	e.expire(dead)
	var theirs string
	cfg := e.config()
	synctest.Test(t, func(t *testing.T) {
		require.Equal(t, 2000, time.Now().Year())
		wrong, err := entsession.Open(t.Context(), cfg)
		require.NoError(t, err)
		defer func() { require.NoError(t, wrong.Close()) }()
		got, err := wrong.Load(t.Context(), mine.ID())
		require.NoError(t, err)
		require.Equal(t, mine.Expires().Unix(), got.Expires().Unix())
		require.NoError(t, wrong.Save(t.Context(), got))
		_, err = wrong.Load(t.Context(), dead.ID())
		require.ErrorIs(t, err, entsession.ErrNotFound)
		s, err := wrong.Create(t.Context(), []byte("made in 2000"))
		require.NoError(t, err)
		theirs = s.ID()
		n, err := wrong.Purge(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, n, "the dead one, and no other")
	})
	got, err := right.Load(ctx, theirs)
	require.NoError(t, err)
	require.WithinDuration(t, e.dbNow(), got.Created(), 5*time.Second)
	require.WithinDuration(t, e.dbNow().Add(31*time.Minute), got.Expires(), 5*time.Second)
	require.True(t, e.live(right, mine.ID()))
}

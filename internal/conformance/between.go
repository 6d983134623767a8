package conformance

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/ent/session"
	"github.com/entsession/entsession/internal/dbtest"
)

// testTouchBetween: a session ends between Touch's look and its write.
func testTouchBetween(t *testing.T, e *env) {
	direct := e.store()
	for _, end := range []string{"UPDATE sessions SET timeout = {now} - 1", "UPDATE sessions SET timeout = -{now}"} {
		store := e.stopping(&stops{beforeExec: func(query string) {
			if strings.HasPrefix(query, "UPDATE") {
				e.exec(end)
			}
		}})
		s := e.create(direct, "x")
		e.exec("UPDATE sessions SET timeout = {now} + 5") // due
		require.Equal(t, entsession.ErrNotFound, store.Touch(ctx, s.ID()))
		require.False(t, e.live(direct, s.ID()))
	}
}

// testTouchAtTheCap: a session that has all the life it can get is not written again and again.
func testTouchAtTheCap(t *testing.T, e *env) {
	direct := e.store()
	store := e.stopping(&stops{beforeExec: func(query string) {
		if strings.HasPrefix(query, "UPDATE") {
			t.Error(query)
		}
	}}, func(c *entsession.Config) { c.ExpirationTimeout, c.MaxLifetime = time.Hour, 2*time.Hour })
	s := e.create(direct, "x")
	e.exec("UPDATE sessions SET created = {now} - 7000, timeout = {now} + 200")
	require.NoError(t, store.Touch(ctx, s.ID()))
}

// testPurgeBetween: a session that is renewed between the purge's look and its deletion stays.
func testPurgeBetween(t *testing.T, e *env) {
	direct := e.store()
	renewed := false
	store := e.stopping(&stops{beforeExec: func(query string) {
		if strings.HasPrefix(query, "DELETE") && !renewed {
			renewed = true
			e.exec("UPDATE sessions SET timeout = {now} + 1000 WHERE data = 'spared'")
		}
	}})
	spared, dead := e.create(direct, "spared"), e.create(direct, "x")
	e.expire(spared)
	e.expire(dead)
	n, err := store.Purge(ctx)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.True(t, renewed)
	require.True(t, e.live(direct, spared.ID()))
}

// testRevokedRow: Revoke leaves what Delete leaves.
func testRevokedRow(t *testing.T, e *env) {
	store := e.store()
	s := e.create(store, "secret", entsession.Set(session.FieldSubject, "42"))
	version := e.int("SELECT version FROM sessions")
	n, err := store.Revoke(ctx, session.Subject("42"))
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Empty(t, e.text("SELECT data FROM sessions WHERE id = $1", s.Key()))
	require.InDelta(t, -e.dbNow().Unix(), e.int("SELECT timeout FROM sessions"), 5, "dead whatever the clock does, and dated")
	require.NotEqual(t, version, e.int("SELECT version FROM sessions"))
}

// testNoIDFromTheDatabase: a message of the database's that names the row's key, as MySQL's "Duplicate entry" does.
func testNoIDFromTheDatabase(t *testing.T, e *env) {
	store := e.store()
	s := e.create(store, "x")
	e.exec("UPDATE sessions SET timeout = {now} + 5")
	switch e.db.Kind.Dialect {
	case dbtest.Postgres:
		e.exec("CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN RAISE EXCEPTION 'not the row %', NEW.id; END $f$")
		e.exec("CREATE TRIGGER tell BEFORE INSERT OR UPDATE ON sessions FOR EACH ROW EXECUTE PROCEDURE tell()")
	case dbtest.MySQL:
		for _, event := range []string{"INSERT", "UPDATE"} {
			e.exec("CREATE TRIGGER tell_" + event + " BEFORE " + event + " ON sessions FOR EACH ROW BEGIN DECLARE told varchar(100) DEFAULT CONCAT('not the row ', NEW.id); SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = told; END")
		}
	}
	_, rotated := store.Rotate(ctx, s.ID())
	_, updated := store.Update(ctx, s.ID(), increment0)
	_, created := store.Create(ctx, nil)
	for what, err := range map[string]error{
		"Create": created, "Save": store.Save(ctx, s), "Update": updated, "Touch": store.Touch(ctx, s.ID()), "Rotate": rotated, "Delete": store.Delete(ctx, s.ID()),
	} {
		require.ErrorContains(t, err, "not the row [id]", what)
		require.NotContains(t, err.Error(), s.Key(), what)
	}
}

func increment0(s *entsession.Session) error { s.Data = append(s.Data, '.'); return nil }

// testStatementTimeout bounds a wait for which the caller has set no limit.
func testStatementTimeout(t *testing.T, e *env) {
	store := e.store(func(c *entsession.Config) { c.StatementTimeout = 200 * time.Millisecond })
	s := e.create(store, "x")
	holder, err := e.admin.Conn(ctx)
	require.NoError(t, err)
	defer holder.Close()
	begin := "BEGIN"
	if e.db.Kind.Dialect == dbtest.SQLite {
		begin = "BEGIN IMMEDIATE"
	}
	_, err = holder.ExecContext(ctx, begin)
	require.NoError(t, err)
	_, err = holder.ExecContext(ctx, "UPDATE sessions SET timeout = timeout")
	require.NoError(t, err)
	done := make(chan error, 1)
	s.Data = []byte("y")
	go func() { done <- store.Save(ctx, s) }()
	select {
	case err := <-done:
		require.ErrorIs(t, err, context.DeadlineExceeded)
	case <-time.After(waitFor):
		t.Error("it waits for the row")
	}
	_, err = holder.ExecContext(ctx, "ROLLBACK")
	require.NoError(t, err)
}

// testNarrowCharset: a column that can't hold every character gets base64 instead, whichever way the payload comes.
func testNarrowCharset(t *testing.T, e *env) {
	e.exec(bareTable + " CHARSET latin1") // without a version: Update locks
	store := e.open()
	check := func(s *entsession.Session, err error) *entsession.Session {
		t.Helper()
		require.NoError(t, err)
		s, err = store.Load(ctx, s.ID())
		require.NoError(t, err)
		require.Equal(t, "🎉", string(s.Data))
		return s
	}
	check(store.Create(ctx, []byte("🎉")))
	s := e.create(store, "café")
	require.Equal(t, "café", e.text("SELECT data FROM sessions WHERE id = $1", s.Key()))
	s.Data = []byte("🎉")
	s = check(s, store.Save(ctx, s))
	e.exec("UPDATE sessions SET data = 'x' WHERE id = $1", s.Key())
	s = check(store.Update(ctx, s.ID(), func(s *entsession.Session) error { s.Data = []byte("🎉"); return nil }))
	s = check(store.Rotate(ctx, s.ID()))
	check(store.Rotate(ctx, s.ID(), entsession.Set("note", "1")))
}

// testCloseWaits for a purge under way.
func testCloseWaits(t *testing.T, e *env) {
	e.store()
	begun, release := make(chan bool, 1), make(chan bool)
	var ended atomic.Bool
	store := e.stopping(&stops{beforeBegin: func(context.Context) {
		begun <- true
		<-release
		ended.Store(true)
	}}, func(c *entsession.Config) { c.DisableAutopurge, c.Rand = false, func() float64 { return 0 } })
	require.False(t, e.live(store, strings.Repeat("a", 43)))
	<-begun
	time.AfterFunc(50*time.Millisecond, func() { close(release) })
	require.NoError(t, store.Close())
	require.True(t, ended.Load())
}

// testUpdateLocks: an Update that has lost three times holds the row.
func testUpdateLocks(t *testing.T, e *env) {
	store := e.store()
	s := e.create(store, "0")
	runs := 0
	_, err := store.Update(ctx, s.ID(), func(s *entsession.Session) error {
		if runs++; runs <= 3 {
			e.exec("UPDATE sessions SET version = version + 1")
		} else {
			_, err := e.admin.ExecContext(ctx, "SELECT id FROM sessions FOR UPDATE NOWAIT")
			require.Error(t, err, "someone else can lock the row")
		}
		return increment(s)
	})
	require.NoError(t, err)
	require.Equal(t, 4, runs)
	require.Equal(t, "1", e.text("SELECT data FROM sessions"))
}

// testBareUpdate: the lock is all that a table without a version has.
func testBareUpdate(t *testing.T, e *env) {
	e.exec("CREATE TABLE sessions (id char(72) NOT NULL PRIMARY KEY, data text, timeout integer, n integer)")
	store := e.open(func(c *entsession.Config) { c.MaxDataBytes, c.MaxOpenConns = 100, 1 })
	s := e.create(store, "x", entsession.Set("n", 0))
	_, err := store.Update(ctx, s.ID(), func(s *entsession.Session) error { s.Data = make([]byte, 101); return nil })
	require.ErrorIs(t, err, entsession.ErrTooLarge)
	require.PanicsWithValue(t, "mine", func() {
		_, _ = store.Update(ctx, s.ID(), func(*entsession.Session) error { panic("mine") })
	})
	// A column alone, which the guard of the data doesn't notice.
	other := e.open()
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			for range 5 {
				_, err := []*entsession.Store{store, other}[i%2].Update(ctx, s.ID(), func(s *entsession.Session) error {
					n, err := entsession.Get[int](s, "n")
					s.Set(entsession.Set("n", n+1))
					return err
				})
				if err != nil {
					t.Errorf("Update: %v", err)
				}
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 30, e.int("SELECT n FROM sessions"))
}

// testExpiresUnderLock: a session that expires while Update's function runs is not saved.
func testExpiresUnderLock(t *testing.T, e *env) {
	e.exec(bareTable)
	store := e.open()
	s := e.create(store, "x")
	e.exec("UPDATE sessions SET timeout = {now} + 1")
	_, err := store.Update(ctx, s.ID(), func(s *entsession.Session) error {
		require.Eventually(t, func() bool { return e.int("SELECT count(*) FROM sessions WHERE timeout < {now}") == 1 }, waitFor, 50*time.Millisecond)
		return increment0(s)
	})
	require.Equal(t, entsession.ErrNotFound, err)
	require.Equal(t, "x", e.text("SELECT data FROM sessions"))
}

// testUnsignedTimeout: MySQL's unsigned columns hold no second below zero.
func testUnsignedTimeout(t *testing.T, e *env) {
	e.exec("CREATE TABLE sessions (id char(72) NOT NULL PRIMARY KEY, data text, timeout int unsigned)")
	store := e.open()
	for _, end := range []func(*entsession.Session) error{
		func(s *entsession.Session) error { return store.Delete(ctx, s.ID()) },
		func(s *entsession.Session) error { _, err := store.Revoke(ctx); return err },
	} {
		s := e.create(store, "x")
		require.NoError(t, store.Touch(ctx, s.ID()))
		require.NoError(t, end(s))
		require.False(t, e.live(store, s.ID()))
		n, err := store.Purge(ctx)
		require.NoError(t, err)
		require.Equal(t, 1, n)
	}
}

// testIDsIgnoringCase: a table of someone else's whose id column ignores case, as MySQL's default collation does.
func testIDsIgnoringCase(t *testing.T, e *env) {
	e.exec(bareTable)
	store := e.open(func(c *entsession.Config) { c.PlainIDs = true })
	e.exec("INSERT INTO sessions (id, data, timeout) VALUES ('aSessionID', 'x', {now} + 100)")
	other := "AsESSIONid"
	require.False(t, e.live(store, other))
	require.Equal(t, entsession.ErrNotFound, store.Touch(ctx, other))
	_, err := store.Update(ctx, other, increment0)
	require.Equal(t, entsession.ErrNotFound, err)
	_, err = store.Rotate(ctx, other)
	require.Equal(t, entsession.ErrNotFound, err)
	require.NoError(t, store.Delete(ctx, other))
	got := got0(t, store, "aSessionID")
	require.NoError(t, store.Save(ctx, got))
	fresh, err := store.Rotate(ctx, "aSessionID")
	require.NoError(t, err)
	require.True(t, e.live(store, fresh.ID()))
}

// testListStopsMatching: a session that stops matching while the loop runs is left out of later pages.
func testListStopsMatching(t *testing.T, e *env) {
	store := e.store()
	for range 130 {
		e.create(store, "x", entsession.Set(session.FieldSubject, "42"))
	}
	n := 0
	for s, err := range store.List(ctx, session.Subject("42")) {
		require.NoError(t, err)
		require.NotNil(t, s)
		if n++; n == 1 {
			e.exec("UPDATE sessions SET subject = '43'")
		}
	}
	require.Equal(t, 100, n, "the first page")
}

// testOwnSlice: the caller may go on using the slice that it gave to Create.
func testOwnSlice(t *testing.T, e *env) {
	store := e.store()
	data := []byte("abc")
	s, err := store.Create(ctx, data)
	require.NoError(t, err)
	data[0] = 'X'
	require.Equal(t, "abc", string(s.Data))
}

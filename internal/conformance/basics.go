package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/internal/dbtest"
)

func testRoundTrip(t *testing.T, e *env) {
	store := e.store()
	before := e.dbNow()
	s := e.create(store, `{"name":"José"}`)
	require.Len(t, s.ID(), 43)
	require.WithinDuration(t, before, s.Created(), 5*time.Second)
	require.Equal(t, s.Created().Add(30*time.Minute+time.Minute), s.Expires(), "the default timeout and one touch interval")

	other := e.open()
	got, err := other.Load(ctx, s.ID())
	require.NoError(t, err)
	require.Equal(t, `{"name":"José"}`, string(got.Data))
	require.Equal(t, s.Expires(), got.Expires())
	require.Equal(t, s.Created(), got.Created())
	require.Equal(t, s.ID(), got.ID())
	require.Equal(t, s.Key(), got.Key())

	got.Data = []byte("changed")
	require.NoError(t, other.Save(ctx, got))
	got.Data = []byte("changed again, with what the first save gave back")
	require.NoError(t, other.Save(ctx, got))
	again, err := store.Load(ctx, s.ID())
	require.NoError(t, err)
	require.Equal(t, got.Data, again.Data)
	require.Equal(t, s.Created(), again.Created())

	require.NoError(t, store.Delete(ctx, s.ID()))
	require.NoError(t, store.Delete(ctx, s.ID()), "a second time")
	require.False(t, e.live(store, s.ID()))
	require.Empty(t, e.text("SELECT data FROM sessions WHERE id = $1", s.Key()), "a tombstone has no payload")
}

func testPayloads(t *testing.T, e *env) {
	store := e.store()
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	for name, data := range map[string][]byte{
		"nil":            nil,
		"empty":          {},
		"text":           []byte("plain text, with 'quotes', \"double\" ones, a back\\slash and a \n newline"),
		"NUL":            []byte("text with \x00 in it"),
		"binary":         every,
		"invalid UTF-8":  {0xff, 0xfe, 'a'},
		"four bytes":     []byte("🎉 and 𝒳"),
		"marker":         []byte("b64:"),
		"marker+base64":  []byte("b64:aGVsbG8="),
		"marker+text":    []byte("b64:not base64 at all"),
		"blanks at ends": []byte("  padded  "),
		"newlines":       []byte("\r\n\n"),
		"large":          bytes.Repeat([]byte("0123456789abcdef"), 1<<16), // just the default limit
	} {
		s, err := store.Create(ctx, data)
		require.NoError(t, err, name)
		got, err := store.Load(ctx, s.ID())
		require.NoError(t, err, name)
		require.True(t, bytes.Equal(data, got.Data), "%s: created and loaded", name)

		got.Data = append([]byte("x"), data...)[1:]
		require.NoError(t, store.Save(ctx, got), name)
		got, err = store.Load(ctx, s.ID())
		require.NoError(t, err, name)
		require.True(t, bytes.Equal(data, got.Data), "%s: saved and loaded", name)
	}
	s := e.create(store, `{"readable":true}`)
	require.Equal(t, `{"readable":true}`, e.text("SELECT data FROM sessions WHERE id = $1", s.Key()))

	// What another writer left behind.
	e.exec("UPDATE sessions SET data = NULL WHERE id = $1", s.Key())
	got, err := store.Load(ctx, s.ID())
	require.NoError(t, err)
	require.Empty(t, got.Data)
	require.NoError(t, store.Save(ctx, got))
}

func testPayloadTooLarge(t *testing.T, e *env) {
	store := e.store(func(c *entsession.Config) { c.MaxDataBytes = 100 })
	_, err := store.Create(ctx, make([]byte, 101))
	require.ErrorIs(t, err, entsession.ErrTooLarge)
	require.ErrorContains(t, err, "101 bytes")
	require.Zero(t, e.int("SELECT count(*) FROM sessions"))

	s := e.create(store, strings.Repeat("x", 100))
	s.Data = append(s.Data, 'y')
	require.ErrorIs(t, store.Save(ctx, s), entsession.ErrTooLarge)
	_, err = store.Update(ctx, s.ID(), func(s *entsession.Session) error { s.Data = append(s.Data, 'y'); return nil })
	require.ErrorIs(t, err, entsession.ErrTooLarge)
	got, err := store.Load(ctx, s.ID())
	require.NoError(t, err)
	require.Len(t, got.Data, 100)
}

// malformed are ids that no server made.
func malformed(s *entsession.Session) map[string]string {
	return map[string]string{
		"empty":         "",
		"10 MB":         strings.Repeat("a", 10<<20),
		"NUL":           "abc\x00def",
		"invalid UTF-8": "\xff\xfe\xfd",
		"unicode":       "ключ",
		"72 characters": strings.Repeat("a", 72),
		"73 characters": strings.Repeat("a", 73),
		"blank":         " ",
		"with a blank":  s.ID() + " ",
		"quote":         "' OR ''='",
		"percent":       "%",
		"newline":       s.ID() + "\n",
		"the stored id": s.Key(),
	}
}

func testMalformedIDs(t *testing.T, e *env) {
	store := e.store()
	s := e.create(store, "x")
	rows := e.int("SELECT count(*) FROM sessions")
	for name, id := range malformed(s) {
		_, err := store.Load(ctx, id)
		require.Equal(t, entsession.ErrNotFound, err, name)
		require.Equal(t, entsession.ErrNotFound, store.Touch(ctx, id), name)
		_, err = store.Update(ctx, id, func(*entsession.Session) error { t.Error("called"); return nil })
		require.Equal(t, entsession.ErrNotFound, err, name)
		_, err = store.Rotate(ctx, id)
		require.Equal(t, entsession.ErrNotFound, err, name)
		require.NoError(t, store.Delete(ctx, id), name)
	}
	require.Equal(t, rows, e.int("SELECT count(*) FROM sessions"), "no row came of it")
	require.True(t, e.live(store, s.ID()))
}

func testStoredIDs(t *testing.T, e *env) {
	hashed := e.store()
	s := e.create(hashed, "x")
	require.NotEqual(t, s.ID(), s.Key())
	require.Zero(t, e.int("SELECT count(*) FROM sessions WHERE id = $1", s.ID()), "the id itself is nowhere")
	require.EqualValues(t, 1, e.int("SELECT count(*) FROM sessions WHERE id = $1", s.Key()))
	require.Len(t, s.Key(), 43)

	plain := e.open(func(c *entsession.Config) { c.PlainIDs = true })
	p := e.create(plain, "y")
	require.Equal(t, p.ID(), p.Key())
	require.EqualValues(t, 1, e.int("SELECT count(*) FROM sessions WHERE id = $1", p.ID()))
	require.True(t, e.live(plain, p.ID()))
	require.False(t, e.live(hashed, p.ID()))
	require.NoError(t, plain.Touch(ctx, p.ID()))
	p, err := plain.Rotate(ctx, p.ID())
	require.NoError(t, err)
	require.NoError(t, plain.Save(ctx, p))
	require.NoError(t, plain.Delete(ctx, p.ID()))
	require.False(t, e.live(plain, p.ID()))
}

func testIDsDifferInCase(t *testing.T, e *env) {
	store := e.store(func(c *entsession.Config) { c.PlainIDs = true })
	for _, id := range []string{"aSessionID", "AsESSIONid"} {
		e.exec("INSERT INTO sessions (id, data, timeout) VALUES ($1, $2, {now} + 1000)", id, id)
	}
	for _, id := range []string{"aSessionID", "AsESSIONid"} {
		s, err := store.Load(ctx, id)
		require.NoError(t, err)
		require.Equal(t, id, string(s.Data))
	}
	require.False(t, e.live(store, "ASESSIONID"))
	require.NoError(t, store.Delete(ctx, "asessionid"))
	require.NoError(t, store.Delete(ctx, "aSessionID"))
	require.True(t, e.live(store, "AsESSIONid"))

	// Defaults work from plain SQL.
	e.exec("INSERT INTO sessions (id, data) VALUES ('defaults', 'x')")
	require.EqualValues(t, 1, e.int("SELECT count(*) FROM sessions WHERE id = 'defaults' AND created BETWEEN {now} - 5 AND {now} AND timeout BETWEEN {now} - 5 AND {now} AND version = 0 AND application = ''"))
}

func testNoIDInErrors(t *testing.T, e *env) {
	store := e.store()
	s := e.create(store, "x")
	var errs []error
	collect := func(err error) {
		require.Error(t, err)
		errs = append(errs, err)
	}
	stale, err := store.Load(ctx, s.ID())
	require.NoError(t, err)
	s.Data = []byte("y")
	require.NoError(t, store.Save(ctx, s))
	collect(store.Save(ctx, stale))
	collect(store.Save(ctx, s, entsession.Set("nope", 1)))
	gone, cancel := context.WithCancel(ctx)
	cancel()
	_, err = store.Load(gone, s.ID())
	collect(err)
	e.exec("DROP TABLE sessions")
	_, err = store.Load(ctx, s.ID())
	collect(err)
	collect(store.Save(ctx, s))
	collect(store.Touch(ctx, s.ID()))
	_, err = store.Rotate(ctx, s.ID())
	collect(err)
	for _, err := range errs {
		for _, verb := range []string{"%v", "%+v", "%#v", "%q"} {
			text := fmt.Sprintf(verb, err)
			require.NotContains(t, text, s.ID())
			require.NotContains(t, text, s.Key())
		}
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
		require.NotContains(t, fmt.Sprintf(verb, s), s.ID(), verb)
		require.NotContains(t, fmt.Sprintf(verb, []*entsession.Session{s}), s.ID(), verb)
		require.NotContains(t, fmt.Sprintf(verb, struct{ S *entsession.Session }{s}), s.ID(), verb)
	}
	_, err = json.Marshal(s)
	require.Error(t, err)
}

func testMisuse(t *testing.T, e *env) {
	store := e.store()
	s := e.create(store, "x")
	var none context.Context
	_, err := store.Create(none, nil)
	require.ErrorContains(t, err, "context is nil")
	_, err = store.Load(none, s.ID())
	require.ErrorContains(t, err, "context is nil")
	require.ErrorContains(t, store.Save(none, s), "context is nil")
	require.ErrorContains(t, store.Touch(none, s.ID()), "context is nil")
	require.ErrorContains(t, store.Delete(none, s.ID()), "context is nil")
	_, err = store.Rotate(none, s.ID())
	require.ErrorContains(t, err, "context is nil")
	_, err = store.Update(none, s.ID(), nil)
	require.ErrorContains(t, err, "context is nil")
	_, err = store.Revoke(none)
	require.ErrorContains(t, err, "context is nil")
	_, err = store.Purge(none)
	require.ErrorContains(t, err, "context is nil")
	require.ErrorContains(t, store.Migrate(none), "context is nil")
	_, err = store.Migrations(none)
	require.ErrorContains(t, err, "context is nil")
	_, err = store.Usage(none)
	require.ErrorContains(t, err, "context is nil")
	for _, err := range store.List(none) {
		require.ErrorContains(t, err, "context is nil")
	}
	_, err = entsession.Open(none, e.config())
	require.ErrorContains(t, err, "context is nil")

	require.ErrorIs(t, store.Save(ctx, nil), entsession.ErrInvalidID)
	require.ErrorIs(t, store.Save(ctx, &entsession.Session{}), entsession.ErrInvalidID)
	_, err = store.Update(ctx, s.ID(), nil)
	require.ErrorContains(t, err, "function is nil")
	require.True(t, e.live(store, s.ID()))

	// A panic in Update's function reaches the caller and leaves nothing behind.
	require.PanicsWithValue(t, "mine", func() {
		_, _ = store.Update(ctx, s.ID(), func(*entsession.Session) error { panic("mine") })
	})
	require.NoError(t, store.Save(ctx, s))
}

func testClosed(t *testing.T, e *env) {
	store := e.store()
	s := e.create(store, "x")
	require.NoError(t, store.Close())
	require.NoError(t, store.Close(), "a second time")
	_, err := store.Create(ctx, nil)
	require.Equal(t, entsession.ErrClosed, err)
	_, err = store.Load(ctx, s.ID())
	require.Equal(t, entsession.ErrClosed, err)
	require.Equal(t, entsession.ErrClosed, store.Save(ctx, s))
	require.Equal(t, entsession.ErrClosed, store.Touch(ctx, s.ID()))
	require.Equal(t, entsession.ErrClosed, store.Delete(ctx, s.ID()))
	_, err = store.Rotate(ctx, s.ID())
	require.Equal(t, entsession.ErrClosed, err)
	_, err = store.Update(ctx, s.ID(), func(*entsession.Session) error { return nil })
	require.Equal(t, entsession.ErrClosed, err)
	_, err = store.Revoke(ctx)
	require.Equal(t, entsession.ErrClosed, err)
	_, err = store.Purge(ctx)
	require.Equal(t, entsession.ErrClosed, err)
	require.Equal(t, entsession.ErrClosed, store.Migrate(ctx))
	_, err = store.Migrations(ctx)
	require.Equal(t, entsession.ErrClosed, err)
	_, err = store.Usage(ctx)
	require.Equal(t, entsession.ErrClosed, err)
	n := 0
	for _, err := range store.List(ctx) {
		require.Equal(t, entsession.ErrClosed, err)
		n++
	}
	require.Equal(t, 1, n)
}

func testCancelledContext(t *testing.T, e *env) {
	store := e.store()
	s := e.create(store, "x")
	gone, cancel := context.WithCancel(ctx)
	cancel()
	_, err := store.Create(gone, nil)
	require.ErrorIs(t, err, context.Canceled)
	_, err = store.Load(gone, s.ID())
	require.ErrorIs(t, err, context.Canceled)
	s.Data = []byte("y")
	require.ErrorIs(t, store.Save(gone, s), context.Canceled)
	require.ErrorIs(t, store.Delete(gone, s.ID()), context.Canceled)
	_, err = store.Purge(gone)
	require.ErrorIs(t, err, context.Canceled)
	got, err := store.Load(ctx, s.ID())
	require.NoError(t, err)
	require.Equal(t, "x", string(got.Data))
	require.EqualValues(t, 1, e.int("SELECT count(*) FROM sessions"))
}

func testMissingTable(t *testing.T, e *env) {
	store := e.open()
	_, err := store.Load(ctx, strings.Repeat("a", 43))
	require.ErrorContains(t, err, "table sessions does not exist")
	require.ErrorContains(t, err, "entsession migrate apply")
	_, err = store.Create(ctx, nil)
	require.ErrorContains(t, err, "entsession migrate apply")

	require.NoError(t, store.Migrate(ctx))
	e.create(store, "and then it works")

	e.exec("ALTER TABLE sessions RENAME TO elsewhere")
	e.exec("CREATE TABLE sessions (id char(72) NOT NULL PRIMARY KEY, payload text)")
	_, err = e.open().Load(ctx, strings.Repeat("a", 43))
	require.ErrorContains(t, err, "has no column data, timeout")
}

func testWrongPassword(t *testing.T, e *env) {
	if e.db.Kind.Dialect == dbtest.SQLite {
		// Nothing to log in to: what can be wrong is the file.
		_, err := entsession.Open(ctx, e.config(func(c *entsession.Config) { c.Database = t.TempDir() + "/no/such/directory/x.db" }))
		require.ErrorContains(t, err, "no/such/directory")
		return
	}
	_, err := entsession.Open(ctx, e.config(func(c *entsession.Config) { c.Password = "Tr0ub4dor&3" }))
	require.Error(t, err)
	require.NotContains(t, err.Error(), "Tr0ub4dor")
	require.NotContains(t, err.Error(), e.db.Password)
	_, err = entsession.Open(ctx, e.config(func(c *entsession.Config) { c.Database = "no_such_database" }))
	require.ErrorContains(t, err, "no_such_database")
	_, err = entsession.Open(ctx, e.config(func(c *entsession.Config) { c.Hostname, c.Port = "127.0.0.1", 1 }))
	require.ErrorContains(t, err, "refused")
	require.NotContains(t, err.Error(), e.db.Password)
}

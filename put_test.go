package entsession_test

import (
	"context"
	"database/sql"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/ent/session"
	"github.com/entsession/entsession/internal/adapter"
	"github.com/entsession/entsession/internal/dbtest"
)

// commitEnv is a store, its database behind its back, and what adapters do with it.
type commitEnv struct {
	*testing.T
	kind  dbtest.Kind
	store *entsession.Store
	open  func(func(*entsession.Config)) *entsession.Store
	db    *sql.DB
}

var token = "a-token-of-the-manager"

func (e *commitEnv) put(w adapter.Write) (adapter.Result, error) {
	if w.ID == "" {
		w.ID = token
	}
	if w.Lifetime == 0 {
		w.Lifetime = time.Hour
	}
	return adapter.Put(context.Background(), e.store, w)
}

// must puts, and wants it to be written.
func (e *commitEnv) must(w adapter.Write) *entsession.Session {
	e.Helper()
	res, err := e.put(w)
	require.NoError(e, err)
	require.False(e, res.Ended)
	return res.Session.(*entsession.Session)
}

func (e *commitEnv) load(id string) *entsession.Session {
	e.Helper()
	s, err := e.store.Load(context.Background(), id)
	require.NoError(e, err)
	return s
}

func (e *commitEnv) exec(text string) {
	e.Helper()
	_, err := e.db.Exec(text)
	require.NoError(e, err)
}

// now is the database's clock.
func (e *commitEnv) now() string {
	return map[string]string{dbtest.Postgres: "floor(extract(epoch from now()))::bigint", dbtest.MySQL: "cast(unix_timestamp() as signed)", dbtest.SQLite: "unixepoch()"}[e.kind.Dialect]
}

// left is how many seconds the only row has left.
func (e *commitEnv) left() (n int64) {
	e.Helper()
	require.NoError(e, e.db.QueryRow("SELECT timeout - "+e.now()+" FROM sessions").Scan(&n))
	return n
}

// TestCommit is what adapters rely on.
func TestCommit(t *testing.T) {
	t.Parallel()
	tests := map[string]func(*commitEnv){
		"RoundTrip": commitRoundTrip, "Taken": commitTaken, "Dead": commitDead, "OtherApplication": commitOtherApplication, "Lifetime": commitLifetime,
		"MaxLifetime": commitMaxLifetime, "Unchanged": commitUnchanged, "Guarded": commitGuarded, "Columns": commitColumns, "Unique": commitUnique,
		"Bare": commitBare, "Misuse": commitMisuse,
	}
	for _, kind := range dbtest.Kinds() {
		for _, alone := range []bool{true, false} {
			for name, test := range tests {
				t.Run(fmt.Sprintf("%s/alone=%v/%s", kind.Name, alone, name), func(t *testing.T) {
					t.Parallel()
					test(newCommitEnv(t, kind, alone))
				})
			}
		}
	}
}

func newCommitEnv(t *testing.T, kind dbtest.Kind, alone bool) *commitEnv {
	db := kind.New(t)
	e := &commitEnv{T: t, kind: kind, db: db.Admin(t)}
	e.open = func(change func(*entsession.Config)) *entsession.Store {
		cfg := entsession.Config{
			Driver:   map[string]string{dbtest.Postgres: "postgres", dbtest.MySQL: "mysql", dbtest.SQLite: "sqlite"}[kind.Dialect],
			Database: db.Name, Username: db.User, Password: db.Password, Hostname: db.Host, Port: db.Port,
			DisableAutopurge: true, DisableBatching: alone,
		}
		if kind.Dialect == dbtest.SQLite {
			cfg.Database, cfg.Params = db.File, map[string]string{"synchronous": "off"}
		}
		if change != nil {
			change(&cfg)
		}
		store, err := entsession.Open(t.Context(), cfg)
		require.NoError(t, err)
		if !alone {
			entsession.Together(store)
		}
		t.Cleanup(func() { require.NoError(t, store.Close()) })
		return store
	}
	e.store = e.open(nil)
	require.NoError(t, e.store.Migrate(t.Context()))
	return e
}

func commitRoundTrip(e *commitEnv) {
	s := e.must(adapter.Write{Data: []byte("one\x00")})
	require.Equal(e, token, s.ID())
	got := e.load(token)
	require.Equal(e, []byte("one\x00"), got.Data)
	require.Equal(e, got.Expires(), s.Expires())
	require.False(e, got.Created().IsZero())

	e.must(adapter.Write{Data: []byte("two"), Known: true})
	require.Equal(e, "two", string(e.load(token).Data))

	// What was committed may be saved and updated like any other.
	got = e.load(token)
	got.Data = []byte("three")
	require.NoError(e, e.store.Save(e.Context(), got))
	require.Equal(e, "three", string(e.load(token).Data))

	drawn, err := adapter.Put(e.Context(), e.store, adapter.Write{Data: []byte("drawn"), Default: true})
	require.NoError(e, err)
	id := drawn.Session.(*entsession.Session).ID()
	require.Len(e, id, 43)
	require.Equal(e, "drawn", string(e.load(id).Data))
}

// commitTaken: a new session never overwrites another one.
func commitTaken(e *commitEnv) {
	e.must(adapter.Write{Data: []byte("mine")})
	_, err := e.put(adapter.Write{Data: []byte("yours")})
	require.ErrorContains(e, err, "not overwritten")
	require.NotContains(e, err.Error(), token)
	require.Equal(e, "mine", string(e.load(token).Data))
}

// commitDead: what has ended stays ended, whether it is known or not, and whether its row is there or not.
func commitDead(e *commitEnv) {
	for _, end := range []func(){
		func() { require.NoError(e, e.store.Delete(e.Context(), token)) },
		func() { e.exec("UPDATE sessions SET timeout = 1000") },
	} {
		loaded := e.must(adapter.Write{Data: []byte("x")})
		end()
		for _, w := range []adapter.Write{{}, {Known: true}, {Loaded: loaded}, {Loaded: loaded, Guarded: true}, {Loaded: loaded, Same: true}} {
			w.Data = []byte("late")
			res, err := e.put(w)
			require.NoError(e, err)
			require.True(e, res.Ended)
			require.Nil(e, res.Session)
		}
		e.exec("DELETE FROM sessions")
		for _, w := range []adapter.Write{{Known: true}, {Loaded: loaded}, {Loaded: loaded, Guarded: true}, {Loaded: loaded, Same: true}} {
			w.Data = []byte("late")
			res, err := e.put(w)
			require.NoError(e, err)
			require.True(e, res.Ended)
		}
		_, err := e.store.Load(e.Context(), token)
		require.ErrorIs(e, err, entsession.ErrNotFound)
	}
}

func commitOtherApplication(e *commitEnv) {
	other := e.open(func(c *entsession.Config) { c.Application = "other" })
	_, err := adapter.Put(e.Context(), other, adapter.Write{ID: token, Data: []byte("other"), Lifetime: time.Hour})
	require.NoError(e, err)
	for _, known := range []bool{true, false} {
		res, err := e.put(adapter.Write{Data: []byte("mine"), Known: known})
		require.NoError(e, err)
		require.True(e, res.Ended)
	}
	s, err := other.Load(e.Context(), token)
	require.NoError(e, err)
	require.Equal(e, "other", string(s.Data))
}

func commitLifetime(e *commitEnv) {
	e.must(adapter.Write{Data: []byte("x"), Lifetime: 24 * time.Hour})
	require.InDelta(e, 86400, e.left(), 10)
	e.must(adapter.Write{Data: []byte("y"), Known: true, Lifetime: 10 * time.Minute})
	require.InDelta(e, 600, e.left(), 10, "shorter, at once")
	e.must(adapter.Write{Data: []byte("y"), Known: true, Lifetime: 1e9 * time.Second})
	require.InDelta(e, 1e9, e.left(), 10)
	e.must(adapter.Write{Data: []byte("y"), Known: true, Lifetime: time.Millisecond})
	require.InDelta(e, 1, e.left(), 10, "rounded up")

	e.must(adapter.Write{ID: "another", Data: []byte("x")})
	res, err := e.put(adapter.Write{ID: "another", Data: []byte("x"), Lifetime: -1, Known: true})
	require.NoError(e, err)
	require.True(e, res.Ended)
	_, err = e.store.Load(e.Context(), "another")
	require.ErrorIs(e, err, entsession.ErrNotFound, "over already")
}

func commitMaxLifetime(e *commitEnv) {
	e.store = e.open(func(c *entsession.Config) { c.MaxLifetime = time.Hour })
	e.must(adapter.Write{Data: []byte("x"), Lifetime: 24 * time.Hour})
	require.InDelta(e, 3600, e.left(), 10)
	e.exec("UPDATE sessions SET created = created - 3000, timeout = timeout - 3000")
	e.must(adapter.Write{Data: []byte("y"), Lifetime: 24 * time.Hour, Known: true})
	require.InDelta(e, 600, e.left(), 10)
}

// commitUnchanged: nothing is written of what is as it is to be.
func commitUnchanged(e *commitEnv) {
	e.must(adapter.Write{Data: []byte("x")})
	version := func() (v int64) {
		require.NoError(e, e.db.QueryRow("SELECT version FROM sessions").Scan(&v))
		return v
	}
	put := func(w adapter.Write) bool {
		e.Helper()
		before := version()
		w.Loaded = e.load(token)
		e.must(w)
		return before != version()
	}
	require.False(e, put(adapter.Write{Data: []byte("x")}))
	require.False(e, put(adapter.Write{Data: []byte("X"), Same: true}))
	require.True(e, put(adapter.Write{Data: []byte("y")}))
	require.True(e, put(adapter.Write{Data: []byte("y"), Columns: []entsession.Column{entsession.Set(session.FieldSubject, "ann")}}))
	require.False(e, put(adapter.Write{Data: []byte("y"), Columns: []entsession.Column{entsession.Set(session.FieldSubject, "ann")}}))
	require.True(e, put(adapter.Write{Data: []byte("y"), Columns: []entsession.Column{entsession.Set(session.FieldSubject, nil)}}))

	// The touch interval is a minute.
	e.exec("UPDATE sessions SET timeout = timeout - 50")
	require.False(e, put(adapter.Write{Data: []byte("y")}))
	require.InDelta(e, 3550, e.left(), 5)
	require.True(e, put(adapter.Write{Data: []byte("z")}))
	require.InDelta(e, 3550, e.left(), 5, "nor by a write of something else")
	e.exec("UPDATE sessions SET timeout = timeout - 20")
	require.True(e, put(adapter.Write{Data: []byte("z")}))
	require.InDelta(e, 3600, e.left(), 5)
	require.True(e, put(adapter.Write{Data: []byte("z"), Lifetime: time.Minute}), "a shorter life counts at once")
	require.InDelta(e, 60, e.left(), 3)
	e.exec("UPDATE sessions SET timeout = timeout - 10")
	require.True(e, put(adapter.Write{Data: []byte("z"), Lifetime: time.Minute}), "a tenth of a minute")
}

func commitGuarded(e *commitEnv) {
	first := e.must(adapter.Write{Data: []byte("x")})
	second := e.must(adapter.Write{Data: []byte("y"), Loaded: first, Guarded: true})
	_, err := e.put(adapter.Write{Data: []byte("z"), Loaded: first, Guarded: true})
	require.ErrorIs(e, err, entsession.ErrConflict)
	require.Equal(e, "y", string(e.load(token).Data))
	third := e.must(adapter.Write{Data: []byte("z"), Loaded: second, Guarded: true})
	require.Equal(e, "z", string(e.load(token).Data))

	// To change nothing is in nobody's way, and gives no right to overwrite.
	kept := e.must(adapter.Write{Data: []byte("x"), Loaded: first, Same: true, Guarded: true})
	require.Equal(e, "z", string(e.load(token).Data))
	_, err = e.put(adapter.Write{Data: []byte("lost"), Loaded: kept, Guarded: true})
	require.ErrorIs(e, err, entsession.ErrConflict)
	e.must(adapter.Write{Data: []byte("w"), Loaded: third, Guarded: true})

	e.must(adapter.Write{Data: []byte("last"), Loaded: first}) // without a guard the last writer wins
	require.Equal(e, "last", string(e.load(token).Data))
}

func commitColumns(e *commitEnv) {
	type key struct{}
	e.store = e.open(func(c *entsession.Config) {
		c.ColumnsFunc = func(ctx context.Context) []entsession.Column {
			if who, ok := ctx.Value(key{}).(string); ok {
				return []entsession.Column{entsession.Set(session.FieldSubject, who)}
			}
			return nil
		}
	})
	subject := func() string {
		who, err := entsession.Get[string](e.load(token), session.FieldSubject)
		require.NoError(e, err)
		return who
	}
	put := func(who string, w adapter.Write) {
		w.ID, w.Lifetime = token, time.Hour
		res, err := adapter.Put(context.WithValue(e.Context(), key{}, who), e.store, w)
		require.NoError(e, err)
		require.False(e, res.Ended)
	}
	put("ann", adapter.Write{Data: []byte("x")})
	require.Equal(e, "ann", subject())
	put("bob", adapter.Write{Data: []byte("x"), Known: true})
	require.Equal(e, "bob", subject())
	put("ann", adapter.Write{Data: []byte("x"), Known: true, Columns: []entsession.Column{entsession.Set(session.FieldSubject, "eve")}})
	require.Equal(e, "eve", subject(), "explicit columns win")
	e.must(adapter.Write{Data: []byte("y"), Known: true})
	require.Equal(e, "eve", subject(), "columns that are not named keep their value")

	var column *entsession.ColumnError
	_, err := e.put(adapter.Write{Data: []byte("y"), Known: true, Columns: []entsession.Column{entsession.Set("nonsense", 1)}})
	require.ErrorAs(e, err, &column)
}

// commitUnique: a unique column of the application's is not taken for the id.
func commitUnique(e *commitEnv) {
	e.exec("CREATE UNIQUE INDEX one_each ON sessions (subject)")
	ann := []entsession.Column{entsession.Set(session.FieldSubject, "ann")}
	e.must(adapter.Write{Data: []byte("x"), Columns: ann})
	_, err := e.put(adapter.Write{ID: "another", Data: []byte("x"), Columns: ann})
	require.Error(e, err)
	require.NotContains(e, err.Error(), "not overwritten")
	e.must(adapter.Write{ID: "another", Data: []byte("x")})
	_, err = e.put(adapter.Write{ID: "another", Data: []byte("x"), Columns: ann, Known: true})
	require.Error(e, err)
}

// commitBare: the first three columns are enough.
func commitBare(e *commitEnv) {
	e.exec("CREATE TABLE bare (id char(72) NOT NULL PRIMARY KEY, data text, timeout integer)")
	e.store = e.open(func(c *entsession.Config) { c.Table = "bare" })
	first := e.must(adapter.Write{Data: []byte("x")})
	e.must(adapter.Write{Data: []byte("y"), Known: true})
	_, err := e.put(adapter.Write{Data: []byte("z"), Loaded: first, Guarded: true})
	require.ErrorIs(e, err, entsession.ErrConflict)
	e.must(adapter.Write{Data: []byte("z"), Loaded: e.load(token), Guarded: true})
	require.NoError(e, e.store.Delete(e.Context(), token))
	res, err := e.put(adapter.Write{Data: []byte("late"), Known: true})
	require.NoError(e, err)
	require.True(e, res.Ended)
}

func commitMisuse(e *commitEnv) {
	for _, id := range []string{"with a blank", "ümlaut", "x\x00", string(make([]byte, 73))} {
		_, err := e.put(adapter.Write{ID: id, Data: []byte("x")})
		require.ErrorContains(e, err, "printable ASCII")
		require.NotContains(e, err.Error(), id)
	}
	_, err := e.put(adapter.Write{Data: make([]byte, 1<<20+1)})
	require.ErrorIs(e, err, entsession.ErrTooLarge)
	_, err = adapter.Put(e.Context(), (*entsession.Store)(nil), adapter.Write{ID: token})
	require.Error(e, err)
	_, err = adapter.Put(e.Context(), nil, adapter.Write{ID: token})
	require.Error(e, err)
	ended, cancel := context.WithCancel(e.Context())
	cancel()
	_, err = adapter.Put(ended, e.store, adapter.Write{ID: token, Lifetime: time.Hour})
	require.ErrorIs(e, err, context.Canceled)
}

package conformance

import (
	"testing"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/internal/dbtest"
)

// testPoolOfOneUnknownColumn: the table is looked at again on the connection that the transaction holds.
func testPoolOfOneUnknownColumn(t *testing.T, e *env) {
	store := e.store(func(c *entsession.Config) { c.MaxOpenConns = 1; c.StatementTimeout = 3 * time.Second })
	s := e.create(store, "x")
	_, err := store.Rotate(ctx, s.ID(), entsession.Set("nope", 1))
	var column *entsession.ColumnError
	require.ErrorAs(t, err, &column)
}

// byValue is a driver that can't be compared.
type byValue struct {
	dialect.Driver
	_ func()
}

func testUncomparable(t *testing.T, e *env) {
	e.store()
	store, err := entsession.New(ctx, byValue{Driver: entsql.OpenDB(e.db.Kind.Dialect, e.admin)}, entsession.Config{DisableAutopurge: true})
	require.NoError(t, err)
	s := e.create(store, "x")
	require.NotPanics(t, func() { require.NoError(t, store.Delete(ctx, s.ID())) })
}

func testBeginTx(t *testing.T, e *env) {
	store := e.store(func(c *entsession.Config) { c.Table = "visits" })
	require.NotPanics(t, func() {
		tx, err := store.Client().BeginTx(ctx, nil)
		require.NoError(t, err)
		_, err = tx.Session.Query().Count(ctx)
		require.NoError(t, err)
		require.NoError(t, tx.Rollback())
	})
}

// testVersionAdded: a migration makes a bare table a full one while the store works.
func testVersionAdded(t *testing.T, e *env) {
	e.exec(bareTable)
	store := e.open()
	s := e.create(store, "x")
	s = got0(t, store, s.ID())
	e.exec("ALTER TABLE sessions ADD COLUMN version bigint NOT NULL DEFAULT 0")
	require.True(t, e.live(store, s.ID()))
	fresh, err := store.Rotate(ctx, s.ID())
	require.NoError(t, err)
	require.True(t, e.live(store, fresh.ID()))
}

func testGenerated(t *testing.T, e *env) {
	store := e.store()
	e.exec(map[string]string{
		dbtest.Postgres: "ALTER TABLE sessions ADD COLUMN size integer GENERATED ALWAYS AS (length(data)) STORED",
		dbtest.MySQL:    "ALTER TABLE sessions ADD COLUMN size integer GENERATED ALWAYS AS (length(data)) STORED",
		dbtest.SQLite:   "ALTER TABLE sessions ADD COLUMN size integer GENERATED ALWAYS AS (length(data)) VIRTUAL",
	}[e.db.Kind.Dialect])
	s := e.create(store, "xyz")
	s = got0(t, store, s.ID())
	size, err := entsession.Get[int](s, "size")
	require.NoError(t, err)
	require.Equal(t, 3, size)
	require.NoError(t, store.Save(ctx, s))
	_, err = store.Rotate(ctx, s.ID())
	require.NoError(t, err)
}

func testAutoIncrement(t *testing.T, e *env) {
	store := e.store()
	e.exec("ALTER TABLE sessions ADD COLUMN seq bigint NOT NULL AUTO_INCREMENT UNIQUE")
	s := e.create(store, "xyz")
	require.Equal(t, got0(t, store, s.ID()).Expires(), s.Expires())
	require.NoError(t, store.Save(ctx, s))
	require.Equal(t, got0(t, store, s.ID()).Expires(), s.Expires())
}

// testRotateCharset: the column's character set lacks a character of the payload.
func testRotateCharset(t *testing.T, e *env) {
	e.exec("CREATE TABLE sessions (id char(72) NOT NULL PRIMARY KEY, data text, timeout bigint, note varchar(40)) CHARSET latin1")
	store := e.open()
	s := e.create(store, "🎉")
	_, err := store.Rotate(ctx, s.ID())
	require.NoError(t, err)
	s = e.create(store, "🎉")
	_, err = store.Rotate(ctx, s.ID(), entsession.Set("note", "1"))
	require.NoError(t, err)
}

// testUnknownDefault: what Create was not given has the table's default, which the session doesn't know yet.
func testUnknownDefault(t *testing.T, e *env) {
	store := e.store()
	e.exec("ALTER TABLE sessions ADD COLUMN visits bigint NOT NULL DEFAULT 7")
	s := e.create(store, "x", entsession.Set("subject", "42"))
	_, ok := s.Get("visits")
	require.False(t, ok)
	require.Len(t, s.Columns(), 1)
	require.NoError(t, store.Save(ctx, s, entsession.Set("subject", "43")))
	visits, err := entsession.Get[int](got0(t, store, s.ID()), "visits")
	require.NoError(t, err)
	require.Equal(t, 7, visits)
}

package conformance

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	entsql "entgo.io/ent/dialect/sql"
	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/ent/session"
	"github.com/entsession/entsession/internal/dbtest"
)

// testBareTable: an existing table of three columns, and one of the user's.
func testBareTable(t *testing.T, e *env) {
	e.exec(bareTable)
	store := e.open()
	s := e.create(store, "x", entsession.Set("note", "mine"))
	require.True(t, s.Created().IsZero())
	got, err := store.Load(ctx, s.ID())
	require.NoError(t, err)
	require.Equal(t, "x", string(got.Data))
	require.Equal(t, s.Expires(), got.Expires())
	note, err := entsession.Get[string](got, "note")
	require.NoError(t, err)
	require.Equal(t, "mine", note)

	stale := got0(t, store, s.ID())
	got.Data = []byte("y ")
	require.NoError(t, store.Save(ctx, got))
	got.Data = []byte("y")
	require.NoError(t, store.Save(ctx, got), "with what the Save before gave")
	require.Equal(t, entsession.ErrConflict, store.Save(ctx, stale), "the data is the guard")
	trailing := got0(t, store, s.ID())
	e.exec("UPDATE sessions SET data = 'y '")
	require.Equal(t, entsession.ErrConflict, store.Save(ctx, trailing), "byte for byte")
	e.exec("UPDATE sessions SET data = 'Y'")
	require.Equal(t, entsession.ErrConflict, store.Save(ctx, trailing), "byte for byte")
	e.exec("UPDATE sessions SET data = NULL")
	null := got0(t, store, s.ID())
	require.Empty(t, null.Data)
	null.Data = []byte("z")
	require.NoError(t, store.Save(ctx, null))

	require.NoError(t, store.Touch(ctx, s.ID()))
	u, err := store.Update(ctx, s.ID(), func(s *entsession.Session) error { s.Data = append(s.Data, '!'); return nil })
	require.NoError(t, err)
	require.Equal(t, "z!", string(u.Data))
	r, err := store.Rotate(ctx, s.ID())
	require.NoError(t, err)
	require.Equal(t, "z!", string(r.Data))
	require.Equal(t, "mine", e.text("SELECT note FROM sessions WHERE id = $1", r.Key()))
	require.False(t, e.live(store, s.ID()))
	require.Equal(t, entsession.ErrNotFound, store.Save(ctx, u))
	n, err := store.Revoke(ctx, entsql.FieldEQ("note", "mine"))
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.False(t, e.live(store, r.ID()))

	// What needs a column says so.
	_, err = store.Create(ctx, nil, entsession.Set(session.FieldSubject, "42"))
	require.ErrorContains(t, err, `"subject"`)
	_, err = e.open(application("shop")).Load(ctx, strings.Repeat("a", 43))
	require.ErrorContains(t, err, `no column "application"`)
	require.ErrorContains(t, err, "entsession migrate adopt")
	_, err = e.open(func(c *entsession.Config) { c.MaxLifetime = time.Hour }).Load(ctx, "x")
	require.ErrorContains(t, err, `no column "created"`)
	err = store.Migrate(ctx)
	require.Error(t, err, "the table is someone else's")
	require.ErrorContains(t, err, "ALTER TABLE")
}

func testBareCounterIsExact(t *testing.T, e *env) {
	e.exec(bareTable)
	store := e.open()
	countUp(t, e, e.create(store, "0").ID(), store, e.open())
}

func testOtherTable(t *testing.T, e *env) {
	names := []string{"visits", "Sessions2", "with-dash--", strings.Repeat("t", 63), "таблица", "select"}
	if e.db.Kind.Dialect == dbtest.Postgres {
		e.exec(`CREATE SCHEMA "App"`)
		names = append(names, "App.sessions", "App.select")
	}
	if e.db.Kind.Dialect == dbtest.MySQL {
		names = append(names, e.db.Name+".elsewhere")
	}
	for _, name := range names {
		store := e.store(func(c *entsession.Config) { c.Table = name })
		s := e.create(store, "x", entsession.Set(session.FieldSubject, "42"))
		s2, err := store.Rotate(ctx, s.ID())
		require.NoError(t, err, name)
		require.NoError(t, store.Save(ctx, s2), name)
		for _, err := range store.List(ctx, session.Subject("42")) {
			require.NoError(t, err, name)
		}
		n, err := store.Client().Session.Query().Where(session.Subject("42")).Count(ctx)
		require.NoError(t, err, name)
		require.Equal(t, 2, n, name)
		n, err = store.Revoke(ctx, session.Subject("42"))
		require.NoError(t, err, name)
		require.Equal(t, 1, n, name)
		_, err = store.Purge(ctx)
		require.NoError(t, err, name)
		require.NoError(t, store.Migrate(ctx), name)
	}
	for _, name := range []string{
		"a.b.c", ".a", "a.", `quo"ted`, "back`tick", "semi;colon", "with space", "null\x00", "1st", "emoji🎉", "\xff",
		strings.Repeat("t", 64), strings.Repeat("t", 64) + ".t", "*", "'; DROP TABLE sessions; --",
	} {
		_, err := entsession.Open(ctx, e.config(func(c *entsession.Config) { c.Table = name }))
		require.ErrorContains(t, err, "Table", name)
	}
}

func testClient(t *testing.T, e *env) {
	store := e.store()
	s := e.create(store, "x", entsession.Set(session.FieldSubject, "42"))
	row, err := store.Client().Session.Query().Where(session.Subject("42")).Only(ctx)
	require.NoError(t, err)
	require.Equal(t, s.Key(), strings.TrimRight(row.ID, " "))
	require.Equal(t, "x", *row.Data)
	require.Contains(t, row.String(), "data=<sensitive>")
}

// testNew: the same on a driver that the application opened.
func testNew(t *testing.T, e *env) {
	require.NoError(t, e.open().Migrate(ctx))
	drv := entsql.OpenDB(e.db.Kind.Dialect, e.admin)
	store, err := entsession.New(ctx, drv, entsession.Config{DisableAutopurge: true})
	require.NoError(t, err)
	s := e.create(store, "0")
	require.NoError(t, store.Touch(ctx, s.ID()))
	require.NoError(t, store.Save(ctx, s), "also without the driver counting found rows")
	countUp(t, e, e.create(store, "0").ID(), store)
	fresh, err := store.Rotate(ctx, s.ID())
	require.NoError(t, err)
	require.NoError(t, store.Delete(ctx, fresh.ID()))
	_, err = store.Purge(ctx)
	require.NoError(t, err)
	require.NoError(t, store.Close())
	_, err = store.Load(ctx, s.ID())
	require.Equal(t, entsession.ErrClosed, err)
	require.NoError(t, e.admin.Ping(), "the application's pool is still open")

	_, err = entsession.New(ctx, drv, entsession.Config{Driver: "oracle"})
	require.ErrorContains(t, err, "oracle")
	_, err = entsession.New(ctx, nil, entsession.Config{})
	require.ErrorContains(t, err, "nil")
	_, err = entsession.New(ctx, drv, entsession.Config{Table: "no good"})
	require.ErrorContains(t, err, "Table")
	_, err = entsession.New(ctx, entsql.OpenDB("gremlin", e.admin), entsession.Config{})
	require.ErrorContains(t, err, "gremlin")
}

// testMigrateTogether: ten processes migrate one database at once.
func testMigrateTogether(t *testing.T, e *env) {
	cfg := e.config()
	var cmds []*exec.Cmd
	outputs := make([]bytes.Buffer, 10)
	for i := range outputs {
		cmd := exec.Command(os.Args[0], "-test.run=^TestMigrateHelper$")
		cmd.Env = append(os.Environ(), helperEnv(t, cfg)...)
		cmd.Stdout, cmd.Stderr = &outputs[i], &outputs[i]
		cmds = append(cmds, cmd)
		require.NoError(t, cmd.Start())
	}
	for i, cmd := range cmds {
		require.NoError(t, cmd.Wait(), outputs[i].String())
	}
	store := e.open()
	applied, err := store.Migrations(ctx)
	require.NoError(t, err)
	require.NotEmpty(t, applied)
	for _, m := range applied {
		require.True(t, m.Applied, m.Version)
		require.Empty(t, m.Problem)
		require.False(t, m.AppliedAt.IsZero())
	}
	require.EqualValues(t, len(applied), e.int("SELECT count(*) FROM atlas_schema_revisions"))
	e.create(store, "x")
}

package entsession_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/ent/session"
	"github.com/entsession/entsession/internal/dbtest"
)

func TestCount(t *testing.T) {
	t.Parallel()
	for _, dialect := range []string{dbtest.SQLite, dbtest.Postgres, dbtest.MySQL} {
		kind := dbtest.Kinds(dialect)[0]
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			testCount(newCommitEnv(t, kind, true))
		})
	}
}

func testCount(e *commitEnv) {
	ann := entsession.Set(session.FieldSubject, "ann")
	create := func(cols ...entsession.Column) *entsession.Session {
		s, err := e.store.Create(e.Context(), nil, cols...)
		require.NoError(e, err)
		return s
	}
	requireCounts := func(all, anns int) {
		e.Helper()
		n, err := e.store.Count(e.Context())
		require.NoError(e, err)
		require.Equal(e, all, n)
		n, err = e.store.Count(e.Context(), session.Subject("ann"))
		require.NoError(e, err)
		require.Equal(e, anns, n)
	}
	requireCounts(0, 0)
	first, second := create(ann), create(ann)
	create()
	elsewhere := e.open(func(c *entsession.Config) { c.Application = "elsewhere" })
	_, err := elsewhere.Create(e.Context(), nil, ann)
	require.NoError(e, err)
	requireCounts(3, 2)
	_, err = e.store.Rotate(e.Context(), first.ID())
	require.NoError(e, err)
	requireCounts(3, 2)
	require.NoError(e, e.store.Delete(e.Context(), second.ID()))
	requireCounts(2, 1)
	e.exec("UPDATE sessions SET timeout = 1 WHERE timeout > 0 AND application = ''")
	requireCounts(0, 0)

	require.NoError(e, elsewhere.Close())
	_, err = elsewhere.Count(e.Context())
	require.ErrorIs(e, err, entsession.ErrClosed)
	_, err = e.store.Count(e.Context(), session.ID("x"), nil)
	require.NoError(e, err)
}

func TestOpenDriver(t *testing.T) {
	t.Parallel()
	e := newCommitEnv(t, dbtest.Kinds(dbtest.SQLite)[0], true)
	s, err := e.store.Create(t.Context(), nil)
	require.NoError(t, err)
	file := ""
	require.NoError(t, e.db.QueryRow("SELECT file FROM pragma_database_list").Scan(&file))
	drv, err := entsession.OpenDriver(entsession.Config{Driver: "sqlite", Database: file, MaxOpenConns: 3})
	require.NoError(t, err)
	require.Equal(t, dbtest.SQLite, drv.Dialect())
	require.Equal(t, 3, drv.DB().Stats().MaxOpenConnections)
	keys, on := 0, 0
	require.NoError(t, drv.DB().QueryRow("SELECT count(*) FROM sessions WHERE id = ?", s.Key()).Scan(&keys))
	require.Equal(t, 1, keys)
	require.NoError(t, drv.DB().QueryRow("PRAGMA foreign_keys").Scan(&on))
	require.Equal(t, 1, on)
	require.NoError(t, drv.Close())
	_, err = e.store.Load(t.Context(), s.ID())
	require.NoError(t, err, "the store has a pool of its own")

	_, err = entsession.OpenDriver(entsession.Config{Driver: "sqlite"})
	require.ErrorContains(t, err, "Database")
	_, err = entsession.OpenDriver(entsession.Config{Driver: "oracle", Database: file})
	require.ErrorContains(t, err, "oracle")
}

package entsession_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/ent/session"
	"github.com/entsession/entsession/internal/dbtest"
)

type whoKey struct{}

func whoFrom(ctx context.Context) []entsession.Column {
	if who, ok := ctx.Value(whoKey{}).(string); ok {
		return []entsession.Column{entsession.Set(session.FieldSubject, who)}
	}
	return nil
}

func TestColumnsFunc(t *testing.T) {
	t.Parallel()
	for _, kind := range dbtest.Kinds() {
		if kind.Name != "sqlite" && kind.Name != "postgres15" && kind.Name != "mariadb" {
			continue
		}
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			e := newCommitEnv(t, kind, true)
			testColumnsFunc(e)
		})
	}
}

func testColumnsFunc(e *commitEnv) {
	store := e.open(func(c *entsession.Config) { c.ColumnsFunc = whoFrom })
	as := func(who string) context.Context { return context.WithValue(e.Context(), whoKey{}, who) }
	subject := func(id string) string {
		e.Helper()
		s, err := store.Load(e.Context(), id)
		require.NoError(e, err)
		who, err := entsession.Get[string](s, session.FieldSubject)
		require.NoError(e, err)
		return who
	}

	s, err := store.Create(as("ann"), nil)
	require.NoError(e, err)
	require.Equal(e, "ann", subject(s.ID()))
	other, err := store.Create(as("ann"), nil, entsession.Set(session.FieldSubject, "eve"))
	require.NoError(e, err)
	require.Equal(e, "eve", subject(other.ID()), "explicit columns win")

	require.NoError(e, store.Save(as("bob"), s))
	require.Equal(e, "bob", subject(s.ID()))
	require.NoError(e, store.Save(as("bob"), s, entsession.Set(session.FieldSubject, "eve")))
	require.Equal(e, "eve", subject(s.ID()))
	s.Set(entsession.Set(session.FieldSubject, "mallory"))
	require.NoError(e, store.Save(as("bob"), s))
	require.Equal(e, "mallory", subject(s.ID()), "staged ones too")
	require.NoError(e, store.Save(e.Context(), s))
	require.Equal(e, "mallory", subject(s.ID()), "no columns, no change")

	s, err = store.Update(as("ann"), s.ID(), func(s *entsession.Session) error { s.Data = []byte("x"); return nil })
	require.NoError(e, err)
	require.Equal(e, "ann", subject(s.ID()))

	s, err = store.Rotate(as("bob"), s.ID())
	require.NoError(e, err)
	require.Equal(e, "bob", subject(s.ID()))
	s, err = store.Rotate(as("bob"), s.ID(), entsession.Set(session.FieldSubject, "eve"))
	require.NoError(e, err)
	require.Equal(e, "eve", subject(s.ID()))
}

// TestColumnsFuncUnderLock: Update locks such a table's row, and writes the columns nevertheless.
func TestColumnsFuncUnderLock(t *testing.T) {
	t.Parallel()
	e := newCommitEnv(t, dbtest.Kinds(dbtest.SQLite)[0], true)
	e.exec("CREATE TABLE bare (id char(72) NOT NULL PRIMARY KEY, data text, timeout integer, subject text)")
	store := e.open(func(c *entsession.Config) { c.Table, c.ColumnsFunc = "bare", whoFrom })
	s, err := store.Create(t.Context(), nil)
	require.NoError(t, err)
	s, err = store.Update(context.WithValue(t.Context(), whoKey{}, "ann"), s.ID(), func(*entsession.Session) error { return nil })
	require.NoError(t, err)
	s, err = store.Load(t.Context(), s.ID())
	require.NoError(t, err)
	who, _ := s.Get(session.FieldSubject)
	require.Equal(t, "ann", who)
}

// TestColumnsFuncBringsNothingNew: a Save whose columns are those that were loaded is no write.
func TestColumnsFuncBringsNothingNew(t *testing.T) {
	t.Parallel()
	e := newCommitEnv(t, dbtest.Kinds(dbtest.SQLite)[0], true)
	e.exec("ALTER TABLE sessions ADD COLUMN n integer")
	e.exec("ALTER TABLE sessions ADD COLUMN blob blob")
	e.exec("ALTER TABLE sessions ADD COLUMN at datetime")
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for i, columns := range [][]entsession.Column{
		{entsession.Set(session.FieldSubject, "ann")},
		{entsession.Set(session.FieldSubject, nil)},
		{entsession.Set("n", 7)},
		{entsession.Set("n", int8(7))},
		{entsession.Set("blob", []byte{0, 1})},
		{entsession.Set("at", at)},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			store := e.open(func(c *entsession.Config) {
				c.ColumnsFunc = func(context.Context) []entsession.Column { return columns }
			})
			s, err := store.Create(t.Context(), []byte("x"))
			require.NoError(t, err)
			s, err = store.Load(t.Context(), s.ID())
			require.NoError(t, err)
			version := func() (v int64) {
				require.NoError(t, e.db.QueryRow("SELECT version FROM sessions WHERE id = ?", s.Key()).Scan(&v))
				return v
			}
			before := version()
			require.NoError(t, store.Save(t.Context(), s))
			require.Equal(t, before, version())
		})
	}
}

package testapp

import (
	"context"
	"testing"

	entgo "entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	entschema "entgo.io/ent/dialect/sql/schema"
	"entgo.io/ent/entc/gen"
	"entgo.io/ent/entc/load"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/internal/dbtest"
	"github.com/entsession/entsession/mixin"
)

// visitors is the schema of an application, and staff that of another one; both are called Session there.
type visitors struct{ entgo.Schema }

func (visitors) Mixin() []entgo.Mixin { return []entgo.Mixin{mixin.Session{}} }

func (visitors) Fields() []entgo.Field { return []entgo.Field{field.Int("user_id").Optional()} }

func (visitors) Indexes() []entgo.Index { return []entgo.Index{index.Fields("user_id")} }

type staff struct{ visitors }

func (staff) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Annotation{Table: "staff_sessions"}}
}

type staffNamed struct{ staff }

func (staffNamed) Mixin() []entgo.Mixin {
	return []entgo.Mixin{mixin.Session{Index: "staff_session_application_timeout"}}
}

func (staffNamed) Indexes() []entgo.Index {
	return []entgo.Index{index.Fields("user_id").StorageKey("staff_session_user_id")}
}

// tables are those that ent makes of a schema which is called Session.
func tables(t *testing.T, s entgo.Interface) []*entschema.Table {
	t.Helper()
	text, err := load.MarshalSchema(s)
	require.NoError(t, err)
	loaded, err := load.UnmarshalSchema(text)
	require.NoError(t, err)
	loaded.Name = "Session"
	storage, err := gen.NewStorage("sql")
	require.NoError(t, err)
	g, err := gen.NewGraph(&gen.Config{Schema: "example.com/app/ent/schema", Package: "example.com/app/ent", Storage: storage}, loaded)
	require.NoError(t, err)
	all, err := g.Tables()
	require.NoError(t, err)
	return all
}

// TestTwoSchemasOfOneName: two ent schemas called Session with a table each in one database. PostgreSQL and SQLite refuse ent's names for the indexes of the
// second; with names of their own, both tables work, and beside this module's own.
func TestTwoSchemasOfOneName(t *testing.T) {
	t.Parallel()
	for _, kind := range dbtest.Kinds() {
		if kind.Dialect == dbtest.Postgres && kind.Name != "postgres15" { // it is the same on all
			continue
		}
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			a := &app{db: kind.New(t)}
			a.pool = a.db.Admin(t)
			if kind.Dialect == dbtest.SQLite {
				a.pool.SetMaxOpenConns(1)
				a.exec(t, "PRAGMA foreign_keys = 1")
			}
			create := func(s entgo.Interface) error {
				m, err := entschema.NewMigrate(a.driver())
				require.NoError(t, err)
				return m.Create(context.Background(), tables(t, s)...)
			}
			require.NoError(t, create(visitors{}))
			err := create(staff{})
			if kind.Dialect == dbtest.MySQL {
				require.NoError(t, err, "there, an index's name is its table's")
				a.exec(t, "DROP TABLE staff_sessions")
			} else {
				require.ErrorContains(t, err, "session_application_timeout")
			}
			require.NoError(t, create(staffNamed{}))
			require.NoError(t, create(staffNamed{}), "and again")
			require.NoError(t, create(visitors{}))

			stores := map[string]*entsession.Store{}
			for _, table := range []string{"sessions", "staff_sessions", "api_sessions"} {
				stores[table] = a.open(t, table)
			}
			require.NoError(t, stores["api_sessions"].Migrate(ctx))
			for table, store := range stores {
				s, err := store.Create(ctx, []byte(table))
				require.NoError(t, err)
				s, err = store.Load(ctx, s.ID())
				require.NoError(t, err)
				require.Equal(t, table, string(s.Data))
			}
		})
	}
}

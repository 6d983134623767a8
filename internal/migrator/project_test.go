package migrator

import (
	"context"
	"database/sql"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"ariga.io/atlas/schemahcl"
	"ariga.io/atlas/sql/migrate"
	"ariga.io/atlas/sql/sqlclient"
	"entgo.io/ent/dialect"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"
	sqlitedriver "modernc.org/sqlite"

	"github.com/entsession/entsession/internal/dbtest"
)

func init() { // under the names that Atlas opens them by
	sql.Register("postgres", stdlib.GetDefaultDriver())
	sql.Register("sqlite3", &sqlitedriver.Driver{})
}

// `atlas migrate apply --env NAME --url URL`, step by step as the command does it: the project file, the connection that its library
// makes of the URL, the history in the connection's schema, the executor on the directory. What it has applied is ours.
func TestAtlasProjectOnEachDatabase(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, kind dbtest.Kind) {
		ctx := context.Background()
		var project struct {
			Envs []*struct {
				Name      string `spec:"name,name"`
				URL       string `spec:"url"`
				Migration *struct {
					Dir string `spec:"dir"`
				} `spec:"migration"`
			} `spec:"env"`
		}
		require.NoError(t, schemahcl.New().EvalFiles([]string{"../../atlas.hcl"}, &project, nil))
		name := map[string]string{dialect.Postgres: "postgres", dialect.MySQL: "mariadb", dialect.SQLite: "sqlite"}[kind.Dialect]
		for _, env := range project.Envs {
			if env.Name != name {
				continue
			}
			db := kind.New(t)
			u, err := url.Parse(env.URL)
			require.NoError(t, err)
			if kind.Dialect == dialect.SQLite {
				u.Host, u.Path = "", db.File
			} else {
				u.Host, u.Path, u.User = db.Server.Addr(), db.Name, url.UserPassword(db.User, db.Password)
			}
			client, err := sqlclient.Open(ctx, u.String())
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, client.Close()) })
			command := newAtlasCommand(t, db)
			dir, err := migrate.NewLocalDir(filepath.Join("../..", strings.TrimPrefix(env.Migration.Dir, "file://")))
			require.NoError(t, err)
			history := inSchema{command, client.URL.Schema}
			executor, err := migrate.NewExecutor(client.Driver, dir, history)
			require.NoError(t, err)
			require.NoError(t, executor.ExecuteN(ctx, 0))

			target := Target{Driver: driver(t, db)}
			applied, err := Apply(ctx, target)
			require.NoError(t, err)
			require.Empty(t, applied)
			files, err := Status(ctx, target)
			require.NoError(t, err)
			for _, f := range files {
				require.Equal(t, Applied, f.State)
			}
			useTable(t, db.Admin(t), kind)
			return
		}
		require.Fail(t, "atlas.hcl has no env for it")
	})
}

// inSchema is the history in the schema that the command's connection is bound to.
type inSchema struct {
	*atlasCommand
	schema string
}

func (h inSchema) Ident() *migrate.TableIdent {
	return &migrate.TableIdent{Name: sharedHistory, Schema: h.schema}
}

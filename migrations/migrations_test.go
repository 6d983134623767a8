package migrations_test

import (
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"ariga.io/atlas/schemahcl"
	"ariga.io/atlas/sql/migrate"
	_ "ariga.io/atlas/sql/mysql"
	_ "ariga.io/atlas/sql/postgres"
	"ariga.io/atlas/sql/sqlclient"
	_ "ariga.io/atlas/sql/sqlite"
	"entgo.io/ent/dialect"
	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/migrations"
)

var folders = map[string]string{dialect.Postgres: "postgres", dialect.MySQL: "mysql", dialect.SQLite: "sqlite"}

// What is embedded is the directory, whole: a file that the pattern leaves out would only be missed by its users.
func TestDir(t *testing.T) {
	t.Parallel()
	var versions []string
	for d, folder := range folders {
		embedded, err := migrations.Dir(d)
		require.NoError(t, err)
		onDisk := os.DirFS(folder)
		names := list(t, onDisk)
		require.NotEmpty(t, names)
		require.Equal(t, names, list(t, embedded))
		for _, name := range names {
			want, err := fs.ReadFile(onDisk, name)
			require.NoError(t, err)
			got, err := fs.ReadFile(embedded, name)
			require.NoError(t, err)
			require.Equal(t, string(want), string(got), name)
		}

		dir, err := migrate.NewLocalDir(folder)
		require.NoError(t, err)
		require.NoError(t, migrate.Validate(dir))
		files, err := dir.Files()
		require.NoError(t, err)
		require.NoError(t, migrate.CheckVersion(files[0].Version()))
		versions = append(versions, files[0].Version())
	}
	require.Len(t, versions, 3)
	require.Equal(t, versions[0], versions[1], "all databases begin with the same version")
	require.Equal(t, versions[0], versions[2])

	_, err := migrations.Dir("oracle")
	require.ErrorContains(t, err, `"oracle"`)
}

func list(t *testing.T, dir fs.FS) (names []string) {
	t.Helper()
	entries, err := fs.ReadDir(dir, ".")
	require.NoError(t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// atlas.hcl says what the atlas command needs, in the form that the command's own project files have.
func TestAtlasProject(t *testing.T) {
	t.Parallel()
	var project struct {
		Envs []*struct {
			Name      string `spec:"name,name"`
			URL       string `spec:"url"`
			Dev       string `spec:"dev"`
			Migration *struct {
				Dir string `spec:"dir"`
			} `spec:"migration"`
		} `spec:"env"`
	}
	require.NoError(t, schemahcl.New().EvalFiles([]string{"../atlas.hcl"}, &project, nil))
	envs := map[string]string{"postgres": "postgres", "mysql": "mysql", "mariadb": "mysql", "sqlite": "sqlite"}
	drivers := map[string]string{"postgres": "postgres", "mysql": "mysql", "mariadb": "maria", "sqlite": "sqlite"}
	for _, env := range project.Envs {
		folder, ok := envs[env.Name]
		require.True(t, ok, env.Name)
		delete(envs, env.Name)

		dir, err := url.Parse(env.Migration.Dir)
		require.NoError(t, err)
		require.Equal(t, "file", dir.Scheme)
		require.Equal(t, filepath.Join("migrations", folder), filepath.Join(dir.Host, dir.Path), "from the root of the repository")

		database, err := url.Parse(env.URL)
		require.NoError(t, err)
		require.True(t, sqlclient.HasDriver(database.Scheme), env.URL)
		require.Equal(t, drivers[env.Name], database.Scheme)
		if env.Name == "postgres" {
			// Else the history would be in a schema that nobody else looks into.
			require.Equal(t, "public", database.Query().Get("search_path"))
		}
		dev, err := url.Parse(env.Dev)
		require.NoError(t, err)
		require.Contains(t, []string{"docker", "sqlite"}, dev.Scheme)
	}
	require.Empty(t, envs, "not in atlas.hcl")
}

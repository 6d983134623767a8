package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ariga.io/atlas/sql/migrate"
	atlas "ariga.io/atlas/sql/schema"
	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"entgo.io/ent/dialect/sql/schema"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	entmigrate "github.com/entsession/entsession/ent/migrate"
	"github.com/entsession/entsession/internal/dbtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(dbtest.Runner(m)) }

const released = "../../../migrations"

// emptyDatabase is one that a replay may work in.
func emptyDatabase(t *testing.T, kind dbtest.Kind) dialect.Driver {
	t.Helper()
	pool := kind.New(t).Admin(t)
	if kind.Dialect == dialect.SQLite {
		pool.SetMaxOpenConns(1)
		_, err := pool.Exec("PRAGMA foreign_keys = 1")
		require.NoError(t, err)
	}
	return entsql.OpenDB(kind.Dialect, pool)
}

func onEach(t *testing.T, test func(t *testing.T, kind dbtest.Kind, folder string)) {
	for _, kind := range dbtest.Kinds() {
		for _, folder := range folders {
			if folder.dialect == kind.Dialect {
				t.Run(kind.Name, func(t *testing.T) {
					t.Parallel()
					test(t, kind, folder.name)
				})
			}
		}
	}
}

// The released migrations make the ent schema, on every version of every database.
func TestSchemaAndMigrationsAgree(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, kind dbtest.Kind, folder string) {
		dir, err := migrate.NewLocalDir(filepath.Join(released, folder))
		require.NoError(t, err)
		file, err := missing(context.Background(), emptyDatabase(t, kind), dir, migrate.NewVersion(), "drift")
		require.NoError(t, err)
		if file != nil {
			require.Fail(t, "run `make migrations NAME=what_changed`; "+folder+" lacks", "%s", file.Bytes())
		}
	})
}

// A difference between the two is found, whichever side has more.
func TestDrift(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, kind dbtest.Kind, folder string) {
		ctx := context.Background()
		for name, c := range map[string]struct{ more, want string }{
			"a column more":        {"ALTER TABLE sessions ADD COLUMN color bigint", "color"},
			"an index more":        {"CREATE INDEX session_created ON sessions (created)", "session_created"},
			"a default that moved": {moveDefault(kind.Dialect), "version"},
		} {
			if kind.Dialect == dialect.SQLite && name != "an index more" {
				c.want = "new_sessions" // it is rebuilt
			}
			dir := &migrate.MemDir{}
			files, err := must(migrate.NewLocalDir(filepath.Join(released, folder))).Files()
			require.NoError(t, err)
			files = append(files, migrate.NewLocalFile("99990101000000_more.sql", []byte(c.more+";\n")))
			require.NoError(t, dir.CopyFiles(files))
			file, err := missing(ctx, emptyDatabase(t, kind), dir, "99990101000001", "drift")
			require.NoError(t, err, name)
			require.NotNil(t, file, name)
			require.Equal(t, "99990101000001_drift.sql", file.Name())
			require.Contains(t, string(file.Bytes()), c.want, name)

			// With it they agree, so it does what it should.
			require.NoError(t, dir.CopyFiles(append(files, file)))
			file, err = missing(ctx, emptyDatabase(t, kind), dir, "99990101000002", "drift")
			require.NoError(t, err, name)
			require.Nil(t, file, name)
		}

		dir := &migrate.MemDir{}
		require.NoError(t, dir.CopyFiles([]migrate.File{migrate.NewLocalFile("1_other.sql", []byte("CREATE TABLE other (id bigint);\n"))}))
		_, err := missing(ctx, emptyDatabase(t, kind), dir, "2", "drift")
		require.ErrorContains(t, err, `["other"]`)
	})
}

func moveDefault(d string) string {
	if d == dialect.SQLite { // which can't change a column
		return "ALTER TABLE sessions DROP COLUMN version; ALTER TABLE sessions ADD COLUMN version integer NOT NULL DEFAULT 7"
	}
	return "ALTER TABLE sessions ALTER COLUMN version SET DEFAULT 7"
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// An application with a schema of its own on mixin.Session migrates with ent. That must settle: a table that ent always finds
// different is rebuilt at every start.
func TestEntMigrationSettles(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, kind dbtest.Kind, _ string) {
		ctx := context.Background()
		drv := emptyDatabase(t, kind)
		var changes []atlas.Change
		hook := func(next schema.Differ) schema.Differ {
			return schema.DiffFunc(func(current, desired *atlas.Schema) (_ []atlas.Change, err error) {
				changes, err = next.Diff(current, desired)
				return changes, err
			})
		}
		create := func(opts ...schema.MigrateOption) {
			tables, err := schema.CopyTables(entmigrate.Tables) // ent writes to the tables it is given, and other tests read them
			require.NoError(t, err)
			require.NoError(t, entmigrate.Create(ctx, entmigrate.NewSchema(drv), tables, opts...))
		}
		create(schema.WithDiffHook(hook))
		require.NotEmpty(t, changes)
		create(schema.WithDiffHook(hook), schema.WithDropColumn(true), schema.WithDropIndex(true))
		require.Empty(t, changes)
	})
}

func TestGenerateAndCheck(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for _, folder := range folders {
		require.NoError(t, os.Mkdir(filepath.Join(root, folder.name), 0o700))
	}
	out, err := execute(t, "generate", "create_sessions", "--dir", root)
	skipWithoutServers(t, err)
	require.NoError(t, err)
	written := strings.Fields(out)
	require.Len(t, written, len(folders))
	for _, path := range written {
		require.Equal(t, filepath.Base(written[0]), filepath.Base(path), "one version")
		require.True(t, strings.HasSuffix(path, "_create_sessions.sql"))
		require.NoError(t, migrate.Validate(must(migrate.NewLocalDir(filepath.Dir(path)))))
	}

	out, err = execute(t, "check", "--dir", root)
	require.NoError(t, err)
	require.Empty(t, out)
	out, err = execute(t, "generate", "nothing", "--dir", root)
	require.NoError(t, err)
	require.Equal(t, "the migrations already make the schema\n", out)

	// Without its file a directory lacks everything.
	sqlite := filepath.Join(root, "sqlite")
	require.NoError(t, os.RemoveAll(sqlite))
	require.NoError(t, os.Mkdir(sqlite, 0o700))
	out, err = execute(t, "check", "--dir", root)
	require.ErrorContains(t, err, sqlite+" do not make the ent schema")
	require.Contains(t, out, "CREATE TABLE `sessions`")
	require.NotContains(t, err.Error(), "mysql")
	entries, err := os.ReadDir(sqlite)
	require.NoError(t, err)
	require.Empty(t, entries, "check writes nothing")

	out, err = execute(t, "generate", "again", "--dir", root)
	require.NoError(t, err)
	require.Len(t, strings.Fields(out), 1, "only where it is needed")

	// A file that would rebuild the table is not written: it would lose the columns that an application has added.
	dir := must(migrate.NewLocalDir(sqlite))
	last := must(dir.Files())[0].Version()
	require.NoError(t, dir.WriteFile(last+"_more.sql", []byte("ALTER TABLE sessions ADD COLUMN color bigint;\n")))
	require.NoError(t, migrate.WriteSumFile(dir, must(dir.Checksum())))
	_, err = execute(t, "generate", "lossy", "--dir", root)
	require.ErrorContains(t, err, "drops a table")
	require.Len(t, must(dir.Files()), 2)

	// A clock that is behind would put a file before those that databases have had.
	require.NoError(t, dir.WriteFile("99990101000000_more.sql", []byte("SELECT 1;\n")))
	require.NoError(t, migrate.WriteSumFile(dir, must(dir.Checksum())))
	_, err = execute(t, "generate", "late", "--dir", root)
	require.ErrorContains(t, err, "is the clock right?")
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	_, err := execute(t, "generate", "Bad Name", "--dir", root)
	require.ErrorContains(t, err, `migration name "Bad Name"`)
	_, err = execute(t, "generate")
	require.Error(t, err)
	_, err = execute(t, "check", "--dir", filepath.Join(root, "nowhere"))
	require.ErrorContains(t, err, "nowhere")
}

func TestTamperedDirectory(t *testing.T) {
	t.Parallel()
	dir := &migrate.MemDir{}
	require.NoError(t, dir.CopyFiles([]migrate.File{migrate.NewLocalFile("1_a.sql", []byte("SELECT 1;\n"))}))
	require.NoError(t, dir.WriteFile("1_a.sql", []byte("SELECT 2;\n")))
	_, err := missing(context.Background(), emptyDatabase(t, dbtest.Kinds(dbtest.SQLite)[0]), dir, "2", "drift")
	require.ErrorIs(t, err, migrate.ErrChecksumMismatch)
}

func execute(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	cmd := command()
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SetErr(&bytes.Buffer{})
	err := cmd.ExecuteContext(context.Background())
	return out.String(), err
}

func skipWithoutServers(t *testing.T, err error) {
	t.Helper()
	if errors.Is(err, dbtest.ErrMissing) && os.Getenv(dbtest.RequireEnv) != "1" {
		t.Skip(err)
	}
}

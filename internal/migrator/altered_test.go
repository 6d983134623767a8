package migrator

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/internal/dbtest"
)

// Files that differ from their atlas.sum are refused before the database is asked.
func TestFilesThatDifferFromTheirSum(t *testing.T) {
	t.Parallel()
	for name, tamper := range map[string]func(t *testing.T, dir string){
		"2_add.sql was edited": func(t *testing.T, dir string) {
			replace(t, filepath.Join(dir, "2_add.sql"), "bigint", "text")
		},
		"4_more.sql was added": func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "4_more.sql"), []byte("DROP TABLE x;\n"), 0o600))
		},
		"3_index.sql was removed": func(t *testing.T, dir string) {
			require.NoError(t, os.Remove(filepath.Join(dir, "3_index.sql")))
		},
		"atlas.sum: checksum file not found": func(t *testing.T, dir string) {
			require.NoError(t, os.Remove(filepath.Join(dir, "atlas.sum")))
		},
		"atlas.sum: checksum mismatch": func(t *testing.T, dir string) {
			replace(t, filepath.Join(dir, "atlas.sum"), "3_index.sql", "5_index.sql")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kind := dbtest.Kinds(dbtest.SQLite)[0]
			db := kind.New(t)
			dir := folder(t, three(kind.Dialect))
			tamper(t, dir)
			target := Target{Driver: driver(t, db), files: os.DirFS(dir)}
			applied, err := Apply(context.Background(), target)
			require.ErrorIs(t, err, ErrAltered)
			require.ErrorContains(t, err, name)
			require.Empty(t, applied)
			_, err = Status(context.Background(), target)
			require.ErrorIs(t, err, ErrAltered)
			require.Empty(t, rows(t, db.Admin(t), "SELECT name FROM sqlite_master"))
		})
	}
}

func replace(t *testing.T, file, from, to string) {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Contains(t, string(text), from)
	require.NoError(t, os.WriteFile(file, []byte(strings.Replace(string(text), from, to, 1)), 0o600))
}

// A file that was edited together with its atlas.sum is known by what the database remembers.
func TestFileThatDiffersFromWhatWasApplied(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, kind dbtest.Kind) {
		ctx := context.Background()
		db := kind.New(t)
		drv, admin := driver(t, db), db.Admin(t)
		original := three(kind.Dialect)
		rest := original["3_index.sql"]
		delete(original, "3_index.sql")
		_, err := Apply(ctx, Target{Driver: drv, files: directory(t, original)})
		require.NoError(t, err)
		before := rows(t, admin, "SELECT * FROM atlas_schema_revisions ORDER BY version")

		edited := map[string]string{"3_index.sql": rest}
		for name, text := range original {
			edited[name] = strings.Replace(text, "ALTER", "/* a comment */ ALTER", 1)
		}
		target := Target{Driver: drv, files: directory(t, edited)}
		applied, err := Apply(ctx, target)
		require.ErrorIs(t, err, ErrAltered)
		require.ErrorContains(t, err, "file 2_add.sql was altered after it was applied")
		require.Empty(t, applied, "not even what is pending")
		require.Equal(t, before, rows(t, admin, "SELECT * FROM atlas_schema_revisions ORDER BY version"))

		files, err := Status(ctx, target)
		require.NoError(t, err)
		require.Equal(t, []State{Applied, Altered, Pending}, []State{files[0].State, files[1].State, files[2].State})

		// The released files are still good.
		original["3_index.sql"] = rest
		applied, err = Apply(ctx, Target{Driver: drv, files: directory(t, original)})
		require.NoError(t, err)
		require.Equal(t, []string{"3"}, applied)
	})
}

// Of a file that was applied in part only the rest may change, and a shortened one is no panic.
func TestPartlyAppliedFileThatDiffers(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, kind dbtest.Kind) {
		ctx := context.Background()
		for name, edit := range map[string]func(string) string{
			"edited":    func(s string) string { return strings.Replace(s, "bigint", "integer", 1) },
			"shortened": func(s string) string { return strings.SplitAfter(s, "\n")[0] },
			"emptied":   func(string) string { return "-- nothing\n" },
		} {
			db := kind.New(t)
			drv, admin := driver(t, db), db.Admin(t)
			files := three(kind.Dialect)
			delete(files, "3_index.sql")
			_, err := Apply(ctx, Target{Driver: drv, files: directory(t, files)})
			require.NoError(t, err)
			all, err := readFiles(kind.Dialect, directory(t, files))
			require.NoError(t, err)
			// As if the process had been killed after the second statement of three.
			run(t, admin, "UPDATE atlas_schema_revisions SET applied = 2, partial_hashes = '[\"h1:"+all[1].sums[0]+"\",\"h1:"+all[1].sums[1]+
				"\"]' WHERE version = '2'")
			status, err := Status(ctx, Target{Driver: drv, files: directory(t, files)})
			require.NoError(t, err)
			require.Equal(t, Partial, status[1].State)
			require.Equal(t, 2, status[1].Done)

			files["2_add.sql"] = edit(files["2_add.sql"])
			_, err = Apply(ctx, Target{Driver: drv, files: directory(t, files)})
			require.ErrorIs(t, err, ErrAltered, name)
			require.ErrorContains(t, err, "2_add.sql", name)
		}
	})
}

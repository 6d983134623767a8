package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"ariga.io/atlas/sql/migrate"
	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/examples/ownschema/ent/migrate/diff"
)

func TestRun(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, run(context.Background(), &out, filepath.Join(t.TempDir(), "app.db")))
	require.Equal(t, `by hand: ann on her laptop with {"cart":["tea"]}, just signed in: true
by hand: 2 devices
by hand: 1 signed out
by hand: the user is deleted: entsession: session not found
typed: bob on his laptop with {"cart":["tea"]}, just signed in: true
typed: entsession: Session.device: value is greater than the required length
typed: 1 signed out
typed: his old laptop is left
`, out.String())
}

// The migrations make the schema: nothing is left to be written.
func TestDrift(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	require.NoError(t, os.CopyFS(path, os.DirFS("ent/migrate/migrations")))
	dir, err := migrate.NewLocalDir(path)
	require.NoError(t, err)
	require.NoError(t, migrate.Validate(dir))
	before, err := dir.Files()
	require.NoError(t, err)
	require.NoError(t, diff.Write(context.Background(), dir, "drift"))
	after, err := dir.Files()
	require.NoError(t, err)
	if len(after) > len(before) {
		require.Fail(t, "run: go run -mod=mod ent/migrate/diff.go NAME", "the migrations lack\n%s", after[len(after)-1].Bytes())
	}
}

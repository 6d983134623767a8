// Package gqlapp tries the extension beside entgql's.
package gqlapp

import (
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/entext/internal/gqlapp/ent"
	"github.com/entsession/entsession/entext/internal/gqlapp/ent/migrate"
	"github.com/entsession/entsession/entext/internal/gqlapp/ent/session"
	_ "github.com/entsession/entsession/sqlite"
)

func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	require.NoError(t, fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(filepath.Join(dir, path))
		files[path] = string(text)
		return err
	}))
	return files
}

// TestOrder: entc.go has entgql's extension first. With ours first, the same comes out, each extension's files and what both have a hand in.
func TestOrder(t *testing.T) {
	t.Parallel()
	want := tree(t, "ent")
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS(".")))
	root, err := filepath.Abs("../../..")
	require.NoError(t, err)
	for path := range want { // nothing may be left over from before
		if !strings.HasPrefix(path, "schema/") && path != "entc.go" && path != "generate.go" {
			require.NoError(t, os.Remove(filepath.Join(dir, "ent", path)))
		}
	}
	for _, args := range [][]string{
		{"mod", "edit", "-replace=github.com/entsession/entsession=" + root},
		{"run", "-C", "ent", "-mod=mod", "entc.go", "reversed"},
	} {
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOWORK=off")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
	}
	got := tree(t, filepath.Join(dir, "ent"))
	for path := range want {
		require.Equal(t, want[path], got[path], "%s: run go generate ./... in this module", path)
	}
	require.Len(t, got, len(want))
	for _, path := range []string{"session_store.go", "session/columns.go", "gql_node.go"} {
		require.Contains(t, got, path)
	}
	api := strings.ToLower(strings.ReplaceAll(got["ent.graphql"], "github.com/entsession/entsession/", ""))
	require.NotContains(t, api, "session", "sessions are no part of the API")
	require.Contains(t, got["ent.graphql"], "type User implements Node")
}

// TestManual: what docs/typed-store.md says is what is done here.
func TestManual(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../../docs/typed-store.md")
	require.NoError(t, err)
	block := regexp.MustCompile("(?s)<!-- entgql -->\n```go\n(.*?)```\n").FindSubmatch(page)
	require.NotNil(t, block)
	schemas := tree(t, "ent/schema")
	for line := range strings.Lines(string(block[1])) {
		code, _, _ := strings.Cut(strings.TrimSpace(line), " //")
		require.Contains(t, schemas["session.go"]+schemas["user.go"], code)
	}
}

// TestBeside: both extensions' code works in one program.
func TestBeside(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	cfg := entsession.Config{Driver: "sqlite", Database: filepath.Join(t.TempDir(), "app.db"), Table: session.Table}
	drv, err := entsession.OpenDriver(cfg)
	require.NoError(t, err)
	client := ent.NewClient(ent.Driver(drv))
	defer client.Close()
	require.NoError(t, client.Schema.Create(ctx, migrate.WithGlobalUniqueID(true)))
	store, err := entsession.Open(ctx, cfg)
	require.NoError(t, err)
	defer store.Close()
	sessions, err := ent.NewSessionStore(store, client)
	require.NoError(t, err)

	ann, err := client.User.Create().SetInput(ent.CreateUserInput{Name: "ann"}).Save(ctx)
	require.NoError(t, err)
	s, err := sessions.Create(ctx, []byte("x"), session.SetDevice("phone"), session.SetUserID(ann.ID))
	require.NoError(t, err)
	s, err = sessions.Load(ctx, s.ID())
	require.NoError(t, err)
	require.Equal(t, session.StateNew, s.State)
	user, err := s.QueryUser().Only(ctx)
	require.NoError(t, err)
	require.Equal(t, "ann", user.Name)
	node, err := client.Noder(ctx, ann.ID)
	require.NoError(t, err)
	require.Equal(t, "ann", node.(*ent.User).Name)
	n, err := sessions.Revoke(ctx, session.Device("phone"))
	require.NoError(t, err)
	require.Equal(t, 1, n)
}

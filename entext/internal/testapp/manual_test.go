package testapp

import (
	"go/format"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// page is the files that a page of the documentation tells its reader to write, by the kind of their mark.
func page(t *testing.T, name, kind string) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../../docs/" + name)
	require.NoError(t, err)
	files := map[string]string{}
	for _, m := range regexp.MustCompile("(?s)<!-- "+kind+" (\\S+) -->\n```go\n(.*?)```\n").FindAllStringSubmatch(string(text), -1) {
		formatted, err := format.Source([]byte(m[2]))
		require.NoError(t, err, "%s: %s", name, m[1])
		require.Equal(t, string(formatted), m[2], "%s: %s is not as gofmt has it", name, m[1])
		files[m[1]] = m[2]
	}
	require.Len(t, files, strings.Count(string(text), "<!-- "+kind+" "), name)
	return files
}

// TestManual does what docs/own-schema.md and docs/typed-store.md tell a newcomer to do, who begins with an empty folder.
func TestManual(t *testing.T) {
	t.Parallel()
	byHand, typed, tool := page(t, "own-schema.md", "file"), page(t, "typed-store.md", "file"), page(t, "typed-store.md", "tool")
	require.Len(t, byHand, 3)
	require.Len(t, typed, 3)
	require.Len(t, tool, 1)

	// The tool directive is tried by TestGenerated, and by this file:
	text, err := os.ReadFile("rolling/v1/generate.go")
	require.NoError(t, err)
	require.Equal(t, strings.Replace(string(text), "package v1", "package ent", 1), tool["ent/generate.go"])

	dir := t.TempDir()
	goes := func(args ...string) string {
		out, err := run(t, dir, append([]string{"go"}, args...)...)
		require.NoError(t, err, "go %s: %s", strings.Join(args, " "), out)
		return out
	}
	write := func(path, text string) {
		path = filepath.Join(dir, path)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	for _, name := range []string{"go.mod", "go.sum"} { // go mod init, go get
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		write(name, string(text))
	}
	root, err := filepath.Abs("../../..")
	require.NoError(t, err)
	goes("mod", "edit", "-module=example.com/shop", "-replace=github.com/entsession/entsession="+root)
	for _, files := range []map[string]string{byHand, typed} {
		for path, text := range files {
			write(path, text)
		}
	}
	write("cmd/byhand/main.go", byHand["main.go"])
	write("cmd/typed/main.go", typed["main.go"])
	goes("generate", "./ent")
	goes("build", "-o", dir, "./cmd/...")
	for name, want := range map[string]string{"byhand": "laptop\n0 signed out\n", "typed": "ann on her old laptop: tea and cake\n0 signed out\n"} {
		require.NoError(t, os.RemoveAll(filepath.Join(dir, "shop.db")))
		out, err := run(t, dir, filepath.Join(dir, name))
		require.NoError(t, err, out)
		require.Equal(t, want, out, name)
	}
}

package entsession_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/config"
)

const readmeUpdate = "README.md is behind: run ENTSESSION_TEST_UPDATE_README=1 go test -run TestReadme ."

// TestReadme keeps what the README shows equal to what is: the YAML and the options table come from package config.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	var table strings.Builder
	table.WriteString("<!-- options -->\n| option | type | default | |\n|---|---|---|---|\n")
	for _, o := range config.Options() {
		name := "`" + o.Name + "`"
		if o.Alias != "" {
			name += ", `" + o.Alias + "`"
		}
		fmt.Fprintf(&table, "| %s | %s | %s | %s |\n", name, o.Type, o.Default, o.Doc)
	}
	want := regexp.MustCompile("(?s)<!-- example -->\n```yaml\n.*?```\n").ReplaceAllLiteralString(string(text), "<!-- example -->\n```yaml\n"+config.Example+"```\n")
	want = regexp.MustCompile(`(?m)<!-- options -->\n(\|.*\n)*`).ReplaceAllLiteralString(want, table.String())
	if os.Getenv("ENTSESSION_TEST_UPDATE_README") == "1" {
		require.NoError(t, os.WriteFile("README.md", []byte(want), 0o644))
		return
	}
	require.Equal(t, want, string(text), readmeUpdate)
}

// TestSnippetsAreCompiled: each page with Go code is in the hands of a test, which names it.
func TestSnippetsAreCompiled(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("docs/*.md")
	require.NoError(t, err)
	var tests strings.Builder
	require.NoError(t, filepath.WalkDir(".", func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		tests.Write(text)
		return err
	}))
	for _, page := range append(pages, "README.md") {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		if strings.Contains(string(text), "```go") {
			require.Regexp(t, `"[./]*`+regexp.QuoteMeta(page)+`"`, tests.String(), "no test compiles what %s shows", page)
		}
	}
}

// TestDependencies: docs/releasing.md has a line on each direct dependency of the module, and on none that it hasn't.
func TestDependencies(t *testing.T) {
	t.Parallel()
	mod, err := os.ReadFile("go.mod")
	require.NoError(t, err)
	text, err := os.ReadFile("docs/releasing.md")
	require.NoError(t, err)
	_, section, _ := strings.Cut(string(text), "\n## Direct dependencies\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var direct, justified []string
	for _, m := range regexp.MustCompile(`(?m)^\t(\S+) v\S+$`).FindAllStringSubmatch(string(mod), -1) {
		direct = append(direct, m[1])
	}
	for _, row := range regexp.MustCompile(`(?m)^\| (`+"`"+`.+?) \|`).FindAllStringSubmatch(section, -1) {
		for name := range strings.SplitSeq(row[1], ", ") {
			justified = append(justified, strings.Trim(name, "`"))
		}
	}
	require.NotEmpty(t, direct)
	require.ElementsMatch(t, direct, justified)
}

// TestReadmeProgram runs the program that the README shows.
func TestReadmeProgram(t *testing.T) {
	t.Parallel()
	require.Regexp(t, `^hello, until 20\d\d-`, program(t, "README.md"))
}

// TestHooksProgram runs the one of docs/hooks.md.
func TestHooksProgram(t *testing.T) {
	t.Parallel()
	require.Regexp(t, `(?s)^\S+ level=INFO msg=create user=<nil> .* msg=rotate user=<nil> .* msg=delete user=ann session=\S{8}\n$`, program(t, "docs/hooks.md"))
}

// program gives the output of the program that a page shows.
func program(t *testing.T, page string) string {
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	match := regexp.MustCompile("(?s)<!-- program -->\n```go\n(.*?)```\n").FindSubmatch(text)
	require.NotNil(t, match)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), match[1], 0o600))
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "program"), filepath.Join(dir, "main.go"))
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	run := exec.Command(filepath.Join(dir, "program"))
	run.Dir = dir
	out, err = run.CombinedOutput()
	require.NoError(t, err, string(out))
	return string(out)
}

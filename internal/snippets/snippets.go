// Package snippets compiles the Go code that the documentation shows, for tests of the module whose packages the code needs.
package snippets

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	fence   = regexp.MustCompile("(?ms)^(<!-- [^\n]* -->\n)?```go\n(.*?)^```$")
	wrong   = regexp.MustCompile(`// (does not compile|nor does this)`)
	message = regexp.MustCompile(`^\S*snippets\.go:(\d+):\d+: (.*)$`)
)

// Of gives the Go code of a page, but for what has a mark: of that, another test makes a file, and runs it.
func Of(t testing.TB, page string) (code []string) {
	t.Helper()
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	found := fence.FindAllStringSubmatch(string(text), -1)
	require.Len(t, found, strings.Count(string(text), "```go"), "all of them")
	for _, f := range found {
		if f[1] == "" {
			code = append(code, f[2])
		}
	}
	require.NotEmpty(t, code, "%s: no Go code without a mark", page)
	return code
}

// Compile compiles snippets in the module of the test. The prelude, a file without its package clause, imports and declares what they take for granted. A snippet is
// statements, or declarations, or a file; an ellipsis in it stands for code that is left out. That it goes no further with what it declares is fine, and a line that
// says that it does not compile must not.
func Compile(t testing.TB, prelude string, snippets ...string) {
	t.Helper()
	lines := strings.Split("package snippets\n\n"+prelude, "\n")
	for i, s := range snippets {
		s = strings.ReplaceAll(s, "…", "")
		switch {
		case regexp.MustCompile(`(?m)^package `).MatchString(s):
			compileFile(t, s)
			continue
		case regexp.MustCompile(`\A(//.*\n)*(type|func|var|const) `).MatchString(s):
		default:
			s = fmt.Sprintf("func _%d() {\n%s}", i, s)
		}
		lines = append(lines, strings.Split(s, "\n")...)
	}
	failed := map[int]bool{}
	for _, m := range build(t, strings.Join(lines, "\n")+"\n") {
		n, _ := strconv.Atoi(m[1])
		if strings.Contains(m[2], "declared and not used") || strings.HasSuffix(m[2], "is not used") {
			continue
		}
		failed[n] = true
		require.Regexp(t, wrong, lines[min(n, len(lines))-1], m[2])
	}
	for i, line := range lines {
		require.Equal(t, wrong.MatchString(line), failed[i+1], "that it does not compile: %s", line)
	}
}

func compileFile(t testing.TB, source string) {
	t.Helper()
	for _, m := range build(t, source) {
		require.Fail(t, "a snippet does not compile", "%s\n%s", m[2], source)
	}
}

// build gives the compiler's messages: the text, the line, the message.
func build(t testing.TB, source string) (messages [][]string) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "snippets.go"), []byte(source), 0o600))
	// As if it were in the folder of the test, whose internal packages it may import.
	here, err := os.Getwd()
	require.NoError(t, err)
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(here, "snippets.go"): filepath.Join(dir, "snippets.go")}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600))
	out, err := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-gcflags=-e", "-o", os.DevNull, "snippets.go").CombinedOutput()
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "#") || strings.HasPrefix(line, "\t") { // whose package it is, and what belongs to the line before
			continue
		}
		m := message.FindStringSubmatch(line)
		require.NotNil(t, m, string(out))
		messages = append(messages, m)
	}
	require.Equal(t, err == nil, len(messages) == 0, string(out))
	return messages
}

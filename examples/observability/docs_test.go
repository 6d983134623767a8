package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// prelude declares what the snippets of the documentation take for granted.
const prelude = `package main

import (
	"context"
	"time"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/otelsession"
)

var (
	ctx    context.Context
	cfg    entsession.Config
	statsd interface{ Timing(string, time.Duration) }
	_      = otelsession.ScopeName
)

func main() {}
`

// TestSnippets compiles the snippets of docs/observability.md. That a snippet goes no further with what it declares is fine.
func TestSnippets(t *testing.T) {
	text, err := os.ReadFile("../../docs/observability.md")
	require.NoError(t, err)
	snippets := regexp.MustCompile("(?s)<!-- compile -->\n```go\n(.*?)```\n").FindAllStringSubmatch(string(text), -1)
	require.Len(t, snippets, strings.Count(string(text), "```go\n"), "each is marked")
	source := prelude
	for i, s := range snippets {
		source += fmt.Sprintf("\nfunc snippet%d() {\n%s}\n", i, s[1])
	}
	file := filepath.Join(t.TempDir(), "main.go")
	require.NoError(t, os.WriteFile(file, []byte(source), 0o600))
	out, _ := exec.Command("go", "build", "-gcflags=-e", "-o", os.DevNull, file).CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if !strings.HasPrefix(line, "#") && !strings.Contains(line, "declared and not used") {
			require.Fail(t, "a snippet does not compile", line)
		}
	}
}

package snippets_test

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/internal/snippets"
)

const prelude = `import "strings"

var page string
`

func TestCompile(t *testing.T) {
	t.Parallel()
	page := filepath.Join(t.TempDir(), "page.md")
	require.NoError(t, os.WriteFile(page, []byte("Text.\n```go\nn := len(page)\nfor i := range n { … }\nstrings.Bogus() // does not compile\n```\n```sh\nls\n```\n"+
		"<!-- program -->\n```go\nthis is run\n```\n```go\ntype T struct{ s string }\n```\n```go\npackage main\n\nfunc main() {}\n```\n"), 0o600))
	code := snippets.Of(t, page)
	require.Len(t, code, 3)
	snippets.Compile(t, prelude, code...)
}

// TestFails: what is wrong in a snippet is seen.
func TestFails(t *testing.T) {
	t.Parallel()
	for name, snippet := range map[string]string{
		"statement":   "strings.Bogus()\n",
		"declaration": "func f() int { return page }\n",
		"file":        "package main\n\nfunc main() { bogus() }\n",
		"it compiles": "print(strings.ToLower(page)) // does not compile\n",
		"syntax":      "if page {\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			failed := make(chan bool)
			go func() { // require ends the goroutine
				inner := &recorder{T: t}
				defer func() { failed <- inner.failed }()
				snippets.Compile(inner, prelude, snippet)
			}()
			require.True(t, <-failed)
		})
	}
}

// recorder is a test that may fail.
type recorder struct {
	*testing.T
	failed bool
}

func (r *recorder) Errorf(string, ...any) { r.failed = true }
func (r *recorder) FailNow()              { r.failed = true; runtime.Goexit() }

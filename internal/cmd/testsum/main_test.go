package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// packages is a module with every way in which a package can end.
var packages = map[string]string{
	"good": `
func TestPass(t *testing.T) { t.Run("sub", func(t *testing.T) { t.Log("chatter") }) }
func ExampleX() { fmt.Println(1) // Output: 1
}`,
	"bad": `
func TestPass(t *testing.T) {}
func TestFail(t *testing.T) { t.Run("sub", func(t *testing.T) { t.Error("the reason of the failure") }) }`,
	"skips":  `func TestSkip(t *testing.T) { t.Skip("the reason of the skip") }`,
	"panics": `func TestPanic(t *testing.T) { panic("the reason of the panic") }`,
	"hangs":  `func TestHang(t *testing.T) { select {} }`,
	"queues": `
func TestHang(t *testing.T) { t.Parallel(); select {} }
func TestWait(t *testing.T) { t.Parallel(); select {} }`,
	"exits":    `func TestExit(t *testing.T) { os.Exit(3) }`,
	"leaks":    `func TestPass(t *testing.T) {}` + "\n" + `func TestMain(m *testing.M) { m.Run(); fmt.Println("a leak"); os.Exit(1) }`,
	"unbuilt":  `func TestPass(t *testing.T) { return 1 }`,
	"empty":    ``,
	"straying": `func TestPass(t *testing.T) { fmt.Print("no newline") }`,
}

// goTest runs the real `go test -json` on some of the packages.
func goTest(t *testing.T, names ...string) []byte {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.org/m\n\ngo 1.26\n"), 0o600))
	args := []string{"test", "-json", "-timeout=3s", "-parallel=1"}
	for _, name := range names {
		source, known := packages[name]
		require.True(t, known, name)
		require.NoError(t, os.Mkdir(filepath.Join(dir, name), 0o700))
		test := "package p\n\nimport (\n\"fmt\"\n\"os\"\n\"testing\"\n)\n\nvar _, _ = fmt.Print, os.Exit\n\nvar _ testing.TB\n\nfunc X() {}\n\n" + source
		file := "p_test.go"
		if source == "" {
			file = "p.go"
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, name, file), []byte(test), 0o600))
		args = append(args, "./"+name)
	}
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	out, _ := cmd.Output() // its exit code is the pipe's, not ours
	return out
}

func TestSummary(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		packages string
		last     string
		code     int
		says     []string
	}{
		{"good", "3 passed, 0 failed, 0 skipped", 0, []string{"ok  \texample.org/m/good"}},
		{"good empty straying", "4 passed, 0 failed, 0 skipped", 0, []string{"ok  \texample.org/m/straying"}},
		{"bad good", "4 passed, 2 failed, 0 skipped", 1, []string{"the reason of the failure", "FAIL\texample.org/m/bad", "ok  \texample.org/m/good"}},
		{"good skips", "3 passed, 0 failed, 1 skipped", 0, []string{"m/skips TestSkip", "the reason of the skip"}},
		{"panics", "0 passed, 1 failed, 0 skipped", 1, []string{"the reason of the panic"}},
		{"hangs good", "3 passed, 1 failed, 0 skipped", 1, []string{"test timed out after 3s", "m/hangs"}},
		{"queues", "0 passed, 2 failed, 0 skipped", 1, []string{"did not end", "did not get its turn"}},
		{"exits", "0 passed, 1 failed, 0 skipped", 1, []string{"m/exits"}},
		{"leaks", "1 passed, 1 failed, 0 skipped", 1, []string{"a leak", "FAIL\texample.org/m/leaks"}},
		{"unbuilt good", "3 passed, 1 failed, 0 skipped", 1, []string{"too many return values", "FAIL\texample.org/m/unbuilt"}},
		{"empty", "0 passed, 0 failed, 0 skipped", 1, []string{"no test ran"}},
	} {
		t.Run(c.packages, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			code := run(bytes.NewReader(goTest(t, strings.Fields(c.packages)...)), &out, false)
			lines := strings.Split(strings.TrimSpace(out.String()), "\n")
			require.Equal(t, c.last, lines[len(lines)-1], out.String())
			require.Equal(t, c.code, code)
			for _, text := range c.says {
				require.Contains(t, out.String(), text)
			}
			require.NotContains(t, out.String(), "chatter")
		})
	}
}

func TestSkipsFail(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.Equal(t, 1, run(bytes.NewReader(goTest(t, "good", "skips")), &out, true))
	require.Contains(t, out.String(), "skipping is a failure here")
}

// TestCutShort shows that a run that stops in the middle, as on a full disk, does not pass.
func TestCutShort(t *testing.T) {
	t.Parallel()
	whole := goTest(t, "good")
	for _, cut := range []string{`"Action":"pass","Package":"example.org/m/good","Elapsed"`, `"Action":"pass"`, `"Action":"run"`} {
		i := bytes.Index(whole, []byte(cut))
		require.Positive(t, i, cut)
		i = bytes.LastIndexByte(whole[:i], '\n') + 1
		var out bytes.Buffer
		require.Equal(t, 1, run(bytes.NewReader(whole[:i]), &out, false), fmt.Sprint(cut, "\n", out.String()))
		require.Contains(t, out.String(), "did not finish")
	}
}

// TestNotJSON passes on what the go command says when it can't even begin.
func TestNotJSON(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.Equal(t, 1, run(strings.NewReader("go: no such module\n"), &out, false))
	require.Contains(t, out.String(), "go: no such module\n")
	require.Contains(t, out.String(), "0 passed, 0 failed, 0 skipped\n")
}

// TestLostResult shows that a test whose result is missing does not count as passed, even in a package that did.
func TestLostResult(t *testing.T) {
	t.Parallel()
	var kept []byte
	for line := range bytes.Lines(goTest(t, "good")) {
		if !bytes.Contains(line, []byte(`"Action":"pass","Package":"example.org/m/good","Test":"TestPass"`)) {
			kept = append(kept, line...)
		}
	}
	var out bytes.Buffer
	require.Equal(t, 1, run(bytes.NewReader(kept), &out, false), out.String())
	require.Contains(t, out.String(), "FAIL\texample.org/m/good")
	require.Contains(t, out.String(), "2 passed, 1 failed, 0 skipped")
}

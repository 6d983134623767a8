// Package stacks shows the store in the stacks of Go's web frameworks, one folder each.
package stacks

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	// What the programs of the documentation import, for go mod tidy.
	_ "github.com/gin-contrib/sessions"
	_ "github.com/go-chi/chi/v5"
	_ "github.com/gofiber/fiber/v3/middleware/session"
	_ "github.com/labstack/echo-contrib/session"
)

// TestDocs runs every program of docs/adapters.md, and visits it twice.
func TestDocs(t *testing.T) {
	text, err := os.ReadFile("../../docs/adapters.md")
	require.NoError(t, err)
	programs := regexp.MustCompile("(?s)\n## ([^\n]+)\n\n<!-- program -->\n```go\n(.*?)```\n|\n## (net/http without a manager)\n.*?<!-- program -->\n```go\n(.*?)```\n").FindAllStringSubmatch(string(text), -1)
	require.Len(t, programs, strings.Count(string(text), "<!-- program -->"))
	for _, p := range programs {
		t.Run(p[1]+p[3], func(t *testing.T) { testProgram(t, p[2]+p[4]) })
	}
}

func testProgram(t *testing.T, source string) {
	l, err := net.Listen("tcp", "localhost:0") // a port that is free, as good as
	require.NoError(t, err)
	address := l.Addr().String()
	require.NoError(t, l.Close())
	dir := t.TempDir()
	formatted := exec.Command("gofmt", "-l")
	formatted.Stdin = strings.NewReader(source)
	out, err := formatted.CombinedOutput()
	require.NoError(t, err)
	require.Empty(t, string(out), "gofmt")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte(strings.ReplaceAll(source, "localhost:8080", address)), 0o600))
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "program"), filepath.Join(dir, "main.go"))
	out, err = build.CombinedOutput()
	require.NoError(t, err, string(out))
	program := exec.Command(filepath.Join(dir, "program"))
	program.Dir = dir
	require.NoError(t, program.Start())
	defer func() {
		_ = program.Process.Kill()
		_ = program.Wait()
	}()

	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	client := &http.Client{Jar: jar}
	defer client.CloseIdleConnections()
	for n := 1; n <= 2; n++ {
		var text []byte
		require.Eventually(t, func() bool {
			res, err := client.Get("http://" + address)
			if err != nil { // it doesn't listen yet
				return false
			}
			defer res.Body.Close()
			text, err = io.ReadAll(res.Body)
			return err == nil
		}, time.Minute, 20*time.Millisecond)
		require.Equal(t, fmt.Sprintf("visit %d", n), string(text))
	}
}

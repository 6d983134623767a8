// Package stacks shows the store in the stacks of Go's web frameworks, one folder each.
package stacks

import (
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/internal/snippets"

	// What the programs of the documentation import, for go mod tidy.
	_ "github.com/gin-contrib/sessions"
	_ "github.com/go-chi/chi/v5"
	_ "github.com/gofiber/fiber/v3/middleware/session"
	_ "github.com/labstack/echo-contrib/session"
)

// TestDocs runs every program of docs/adapters.md, and does with it what that page does with curl.
func TestDocs(t *testing.T) {
	text, err := os.ReadFile("../../docs/adapters.md")
	require.NoError(t, err)
	programs := regexp.MustCompile("(?s)\n## ([^\n]+)\n\n<!-- program -->\n```go\n(.*?)```\n|\n## (net/http without a manager)\n.*?<!-- program -->\n```go\n(.*?)```\n").FindAllStringSubmatch(string(text), -1)
	require.Len(t, programs, strings.Count(string(text), "<!-- program -->"))
	for _, p := range programs {
		t.Run(p[1]+p[3], func(t *testing.T) { testProgram(t, p[2]+p[4]) })
	}
}

// TestSnippets compiles what else these pages show.
func TestSnippets(t *testing.T) {
	t.Parallel()
	for page, prelude := range map[string]string{
		"../../docs/adapters.md": `
import (
	"context"
	"net/http"

	"github.com/alexedwards/scs/v2"
	"github.com/gin-gonic/gin"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/ent/session"
	"github.com/entsession/entsession/gorillastore"
	"github.com/entsession/entsession/scsstore"
)

type deviceKey struct{}

var (
	ctx      context.Context
	store    *entsession.Store
	sessions *scs.SessionManager
	router   *gin.Engine
	adapter  struct{ *gorillastore.Store }
)
`,
		"../../README.md": `
import (
	"context"

	"github.com/alexedwards/scs/v2"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/scsstore"
)

var (
	ctx   context.Context
	store *entsession.Store
)
`,
	} {
		t.Run(page, func(t *testing.T) {
			t.Parallel()
			snippets.Compile(t, prelude, snippets.Of(t, page)...)
		})
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
	send := func(method, path string) (string, error) {
		req, err := http.NewRequest(method, "http://"+address+path, strings.NewReader("user=ann"))
		require.NoError(t, err)
		if method == "POST" {
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		res, err := client.Do(req)
		if err != nil {
			return "", err
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		require.Equal(t, http.StatusOK, res.StatusCode, string(text))
		return string(text), err
	}
	cookie := func() string {
		cookies := jar.Cookies(&url.URL{Scheme: "http", Host: address, Path: "/"})
		require.Len(t, cookies, 1)
		return cookies[0].Value
	}
	var text string
	require.Eventually(t, func() bool {
		text, err = send("GET", "/")
		return err == nil // else it doesn't listen yet
	}, time.Minute, 20*time.Millisecond)
	require.Equal(t, "visit 1 of \"\"\n", text)
	before := cookie()
	for _, step := range [][3]string{
		{"POST", "/sign-in"},
		{"GET", "/", "visit 2 of \"ann\"\n"},
		{"GET", "/", "visit 3 of \"ann\"\n"},
	} {
		text, err := send(step[0], step[1])
		require.NoError(t, err)
		if step[2] != "" { // some say OK
			require.Equal(t, step[2], text)
		}
		require.NotEqual(t, before, cookie(), "a new id at the sign-in")
	}
	_, err = send("POST", "/sign-out")
	require.NoError(t, err)
	text, err = send("GET", "/")
	require.NoError(t, err)
	require.Equal(t, "visit 1 of \"\"\n", text)
}

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/internal/dbtest"
)

// program is the application as its command line starts it.
type program struct {
	url  string
	said string
	stop context.CancelFunc
	done chan error
}

var openURL = regexp.MustCompile(`Open (http://\S+) `)

// start runs the program until it says where it is.
func start(t *testing.T, args ...string) *program {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background()) // ends before the test's
	p := &program{stop: stop, done: make(chan error, 1)}
	out, in := io.Pipe()
	go func() {
		err := run(ctx, append([]string{"-addr", "localhost:0"}, args...), in, t.Output())
		p.done <- err
		_ = in.CloseWithError(errors.Join(err, io.EOF))
	}()
	t.Cleanup(stop)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		p.said += lines.Text() + "\n"
		if m := openURL.FindStringSubmatch(lines.Text()); m != nil {
			p.url = m[1]
			return p
		}
	}
	require.NoError(t, lines.Err(), "said: %s", p.said)
	t.Fatal("it ended without a word")
	return nil
}

// end stops the program as a signal does.
func (p *program) end(t *testing.T) {
	t.Helper()
	p.stop()
	require.NoError(t, <-p.done)
}

func (p *program) browser(t *testing.T) *browser {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return newBrowser(t, p.url, firefox, transport)
}

// TestRestart signs in, ends the program, starts it again, and is still signed in: the session is in the database.
func TestRestart(t *testing.T) {
	onEach(t, func(t *testing.T, kind dbtest.Kind) {
		dsn := dsnOf(kind.New(t))
		p := start(t, "-dsn", dsn)
		b := p.browser(t)
		b.signIn(t, "Ada")
		b.post(t, "/counter")
		id := b.cookie(t)
		p.end(t)

		p = start(t, "-dsn", dsn)
		require.NotContains(t, p.said, "secret")
		b = p.browser(t)
		b.setCookie(t, id)
		require.Equal(t, "1", b.get(t, "/").text(t, "counter"))
		p.end(t)
	})
}

func dsnOf(db *dbtest.DB) string {
	if db.File != "" {
		return "sqlite://" + db.File
	}
	u := url.URL{
		Scheme: db.Kind.Dialect, User: url.UserPassword(db.User, db.Password),
		Host: net.JoinHostPort(db.Host, fmt.Sprint(db.Port)), Path: "/" + db.Name,
	}
	return u.String()
}

func TestConfigFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "app.yaml")
	text := "session:\n  store:\n    driver: sqlite\n    options:\n      database: " + filepath.Join(dir, "shop.db") + "\n"
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	p := start(t, "-config", file)
	require.Contains(t, p.said, filepath.Join(dir, "shop.db"))
	p.browser(t).signIn(t, "Ada")
	p.end(t)
}

func TestPortInUse(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "localhost:0")
	require.NoError(t, err)
	defer taken.Close()
	addr := taken.Addr().String()
	err = run(t.Context(), []string{"-addr", addr, "-dsn", "sqlite://" + filepath.Join(t.TempDir(), "a.db")}, io.Discard, io.Discard)
	require.ErrorContains(t, err, "another program is using "+addr+" already")
	require.ErrorContains(t, err, "-addr")
}

func TestUsage(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.ErrorIs(t, run(t.Context(), []string{"-h"}, &out, io.Discard), flag.ErrHelp)
	for _, want := range []string{"-addr", "-dsn", "-config", "-https", "-proxy", defaultFile()} {
		require.Contains(t, out.String(), want)
	}
	for want, args := range map[string][]string{
		"-nonsense":                     {"-nonsense"},
		`unexpected argument "now"`:     {"now"},
		"host:port":                     {"-addr", "8080"},
		"exclude each other":            {"-dsn", "sqlite:a.db", "-config", "a.yaml"},
		"DSN":                           {"-dsn", "nonsense"},
		`"10.0.0.1" for flag -proxy`:    {"-proxy", "10.0.0.1"},
		"reading the configuration":     {"-config", "/nowhere/app.yaml"},
		"hash_ids: 0 does not go with ": {"-dsn", "sqlite:a.db?hash_ids=0"},
	} {
		err := run(t.Context(), args, io.Discard, io.Discard)
		require.ErrorContains(t, err, want)
		var misuse usageError
		require.ErrorAs(t, err, &misuse)
	}
	err := run(t.Context(), []string{"-addr", "localhost:0", "-dsn", "postgres://ada:secret@127.0.0.1:1/shop"}, io.Discard, io.Discard)
	require.Error(t, err)
	require.NotContains(t, err.Error(), "secret")
}

// TestDefaultDatabase is not parallel: it moves the cache folder.
func TestDefaultDatabase(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", dir) // Linux
	t.Setenv("HOME", dir)           // macOS
	p := start(t)
	require.Contains(t, p.said, dir)
	p.browser(t).signIn(t, "Ada")
	p.end(t)
	require.FileExists(t, defaultFile())
}

func TestApplication(t *testing.T) {
	t.Parallel()
	for dsn, want := range map[string]string{"sqlite:a.db": "webapp", "sqlite:a.db?application=mine": "mine"} {
		opts, err := parse([]string{"-dsn", dsn}, io.Discard)
		require.NoError(t, err)
		require.Equal(t, want, opts.store.Application)
	}
}

// TestShutdown ends the program in the middle of a request, which is answered, and its session saved.
func TestShutdown(t *testing.T) {
	t.Parallel()
	p := start(t, "-dsn", "sqlite://"+filepath.Join(t.TempDir(), "shop.db"))
	addr := strings.TrimPrefix(p.url, "http://")
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "POST /cart/add HTTP/1.1\r\nHost: %s\r\nContent-Type: application/x-www-form-urlencoded\r\n"+
		"Content-Length: 8\r\nExpect: 100-continue\r\n\r\n", addr)
	require.NoError(t, err)
	in := bufio.NewReader(conn)
	line, err := in.ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, line, "100 Continue") // the handler is reading the form
	_, err = in.ReadString('\n')
	require.NoError(t, err)

	p.stop()
	require.Eventually(t, func() bool {
		late, err := net.Dial("tcp", addr)
		if err == nil {
			_ = late.Close()
		}
		return err != nil
	}, time.Minute, time.Millisecond, "it still listens")
	_, err = io.WriteString(conn, "item=tea")
	require.NoError(t, err)
	answer, err := http.ReadResponse(in, nil)
	require.NoError(t, err)
	_ = answer.Body.Close()
	require.Equal(t, http.StatusSeeOther, answer.StatusCode)
	require.Contains(t, answer.Header.Get("Set-Cookie"), "webapp=")
	require.NoError(t, <-p.done)
}

func TestAddress(t *testing.T) {
	t.Parallel()
	got := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080}
	for given, want := range map[string]string{
		"localhost:8080": "http://localhost:8080", ":0": "http://localhost:8080", "0.0.0.0:8080": "http://localhost:8080",
		"[::]:8080": "http://localhost:8080", "[::1]:8080": "http://[::1]:8080", "192.168.1.5:8080": "http://192.168.1.5:8080",
	} {
		require.Equal(t, want, address(given, got))
	}
}

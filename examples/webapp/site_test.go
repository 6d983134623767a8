package main

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/internal/dbtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(dbtest.Runner(m)) }

// onEach runs a test on a database of each dialect.
func onEach(t *testing.T, test func(t *testing.T, kind dbtest.Kind)) {
	t.Helper()
	t.Parallel()
	for _, dialect := range []string{dbtest.SQLite, dbtest.Postgres, dbtest.MySQL} {
		kind := dbtest.Kinds(dialect)[0]
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			test(t, kind)
		})
	}
}

var sqlite = dbtest.Kinds(dbtest.SQLite)[0]

// site is the application, served, with an empty database of its own.
type site struct {
	*httptest.Server
	db *database
}

func newSite(t *testing.T, kind dbtest.Kind, proxies ...netip.Prefix) *site {
	t.Helper()
	return serveSite(t, kind, false, proxies...)
}

func serveSite(t *testing.T, kind dbtest.Kind, https bool, proxies ...netip.Prefix) *site {
	t.Helper()
	db := openKind(t, kind, proxies)
	server := httptest.NewUnstartedServer(newApp(db, slog.New(slog.NewTextHandler(t.Output(), nil)), https))
	if https {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	return &site{server, db}
}

func openKind(t *testing.T, kind dbtest.Kind, proxies []netip.Prefix) *database {
	t.Helper()
	db := kind.New(t)
	cfg := entsession.Config{
		Driver: kind.Dialect, Application: "webapp",
		Hostname: db.Host, Port: db.Port, Username: db.User, Password: db.Password, Database: db.Name,
	}
	if db.File != "" {
		cfg.Database = db.File
	}
	shop, err := openDatabase(t.Context(), cfg, proxies)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, shop.Close()) })
	return shop
}

// rows is how many rows the table has, the ended ones too.
func (s *site) rows(t *testing.T) int {
	t.Helper()
	n, err := s.db.client.Session.Query().Count(t.Context())
	require.NoError(t, err)
	return n
}

const (
	firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:141.0) Gecko/20100101 Firefox/141.0"
	safari  = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1"
	edge    = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36 Edg/138.0.0.0"
)

// browser keeps cookies and follows redirects, as a browser does.
type browser struct {
	http.Client
	base   string
	agent  string
	header http.Header // sent along
}

func (s *site) browser(t *testing.T, agent string) *browser {
	t.Helper()
	return newBrowser(t, s.URL, agent, s.Client().Transport)
}

func newBrowser(t *testing.T, base, agent string, transport http.RoundTripper) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return &browser{Client: http.Client{Transport: transport, Jar: jar}, base: base, agent: agent, header: http.Header{}}
}

// page is where a click ended.
type page struct {
	Status int
	Path   string
	Body   string
	Header http.Header // of the page
}

func (b *browser) get(t *testing.T, path string) page {
	t.Helper()
	return b.do(t, http.MethodGet, path, nil)
}

// post sends a form; fields are names and values in turn.
func (b *browser) post(t *testing.T, path string, fields ...string) page {
	t.Helper()
	form := url.Values{}
	for pair := range slices.Chunk(fields, 2) {
		form.Add(pair[0], pair[1])
	}
	return b.do(t, http.MethodPost, path, form)
}

func (b *browser) do(t *testing.T, method, path string, form url.Values) page {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, b.base+path, strings.NewReader(form.Encode()))
	require.NoError(t, err)
	r.Header = b.header.Clone()
	r.Header.Set("User-Agent", b.agent)
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	answer, err := b.Do(r)
	require.NoError(t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return page{answer.StatusCode, answer.Request.URL.Path, string(body), answer.Header}
}

func (b *browser) signIn(t *testing.T, name string) page {
	t.Helper()
	p := b.post(t, "/sign-in", "name", name)
	require.Equal(t, "/", p.Path)
	return p
}

// cookie is the value of the session's cookie, or "".
func (b *browser) cookie(t *testing.T) string {
	t.Helper()
	for _, c := range b.Jar.Cookies(b.url(t)) {
		if strings.HasSuffix(c.Name, "webapp") {
			return c.Value
		}
	}
	return ""
}

func (b *browser) setCookie(t *testing.T, value string) {
	t.Helper()
	b.Jar.SetCookies(b.url(t), []*http.Cookie{{Name: "webapp", Value: value, Path: "/"}})
}

func (b *browser) url(t *testing.T) *url.URL {
	t.Helper()
	u, err := url.Parse(b.base)
	require.NoError(t, err)
	return u
}

// text is the text of the element with that id.
func (p page) text(t *testing.T, id string) string {
	t.Helper()
	m := regexp.MustCompile(`id="` + regexp.QuoteMeta(id) + `"[^>]*>([^<]*)<`).FindStringSubmatch(p.Body)
	require.NotNil(t, m, "no element %s in\n%s", id, p.Body)
	return m[1]
}

// shown is one device of the devices page.
type shown struct {
	browser, key string
	this         bool
}

func (p page) devices(t *testing.T) []shown {
	t.Helper()
	require.Equal(t, "/devices", p.Path)
	var all []shown
	for _, item := range strings.Split(p.Body, `<li class="card device`)[1:] {
		name := regexp.MustCompile(`<h2>([^<]*?) ?<`).FindStringSubmatch(item)
		key := regexp.MustCompile(`name="key" value="([^"]*)"`).FindStringSubmatch(item)
		require.NotNil(t, name)
		require.NotNil(t, key)
		all = append(all, shown{name[1], key[1], strings.Contains(item, "This device")})
	}
	return all
}

// requireSignedOut wants a browser's next click to land on the sign-in page, which says why.
func requireSignedOut(t *testing.T, p page) {
	t.Helper()
	require.Equal(t, http.StatusOK, p.Status)
	require.Equal(t, "/sign-in", p.Path)
	require.Contains(t, p.Body, "Your session has ended")
}

func required() bool { return os.Getenv(dbtest.RequireEnv) == "1" }

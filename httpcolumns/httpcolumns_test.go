package httpcolumns

import (
	"context"
	"database/sql"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/quick"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/internal/dbtest"
	_ "github.com/entsession/entsession/mysql"
	_ "github.com/entsession/entsession/sqlite"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

func newSource(t *testing.T, cfg Config) *Source {
	t.Helper()
	s, err := New(cfg)
	require.NoError(t, err)
	return s
}

func prefixes(texts ...string) (all []netip.Prefix) {
	for _, p := range texts {
		all = append(all, netip.MustParsePrefix(p))
	}
	return all
}

func TestClientAddress(t *testing.T) {
	t.Parallel()
	proxies := prefixes("10.0.0.0/8", "2001:db8:1::/48", "::ffff:192.168.0.0/112")
	for name, c := range map[string]struct {
		remote, header string
		lines          []string
		want           string
	}{
		"direct":                                 {"192.0.2.1:1234", "", nil, "192.0.2.1"},
		"direct, IPv6":                           {"[2001:db8::1]:1234", "", nil, "2001:db8::1"},
		"a zone is this host's own":              {"[fe80::1%eth0]:1234", "", nil, "fe80::1"},
		"IPv4 in IPv6":                           {"[::ffff:192.0.2.1]:1234", "", nil, "192.0.2.1"},
		"nobody asked the client":                {"192.0.2.1:1234", "", []string{"203.0.113.9"}, "192.0.2.1"},
		"behind a proxy":                         {"10.0.0.1:1", "", []string{"192.0.2.1"}, "192.0.2.1"},
		"a proxy that is IPv4 in IPv6":           {"[::ffff:10.0.0.1]:1", "", []string{"192.0.2.1"}, "192.0.2.1"},
		"a network given as IPv4 in IPv6":        {"192.168.0.7:1", "", []string{"192.0.2.1"}, "192.0.2.1"},
		"an IPv6 proxy":                          {"[2001:db8:1::5]:1", "", []string{"2001:db8::1"}, "2001:db8::1"},
		"spoofed on the left":                    {"10.0.0.1:1", "", []string{"203.0.113.9, 192.0.2.1"}, "192.0.2.1"},
		"spoofed in a line of its own":           {"10.0.0.1:1", "", []string{"203.0.113.9", "192.0.2.1"}, "192.0.2.1"},
		"spoofed as one of the proxies":          {"10.0.0.1:1", "", []string{"203.0.113.9, 10.0.0.2, 192.0.2.1"}, "192.0.2.1"},
		"two proxies":                            {"10.0.0.1:1", "", []string{"203.0.113.9, 192.0.2.1, 10.0.0.2"}, "192.0.2.1"},
		"two proxies in two lines":               {"10.0.0.1:1", "", []string{"203.0.113.9, 192.0.2.1", "10.0.0.2"}, "192.0.2.1"},
		"all of them proxies":                    {"10.0.0.1:1", "", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		"no header":                              {"10.0.0.1:1", "", nil, "10.0.0.1"},
		"an empty header":                        {"10.0.0.1:1", "", []string{"", " , "}, "10.0.0.1"},
		"empty entries":                          {"10.0.0.1:1", "", []string{"203.0.113.9, 192.0.2.1, ,, "}, "192.0.2.1"},
		"unknown":                                {"10.0.0.1:1", "", []string{"203.0.113.9, unknown, 10.0.0.2"}, "10.0.0.2"},
		"nonsense right away":                    {"10.0.0.1:1", "", []string{"203.0.113.9, 192.0.2.1.1"}, "10.0.0.1"},
		"with ports":                             {"10.0.0.1:1", "", []string{"192.0.2.1:80, [2001:db8:1::5]:443"}, "192.0.2.1"},
		"IPv6 without a port":                    {"10.0.0.1:1", "", []string{"2001:db8::1"}, "2001:db8::1"},
		"IPv6 in brackets":                       {"10.0.0.1:1", "", []string{"[2001:db8::1]"}, "2001:db8::1"},
		"IPv4 in brackets is nonsense":           {"10.0.0.1:1", "", []string{"[192.0.2.1]"}, "10.0.0.1"},
		"quotes mean nothing here":               {"10.0.0.1:1", "", []string{`203.0.113.9", 192.0.2.1`}, "192.0.2.1"},
		"leading zeros are nonsense":             {"10.0.0.1:1", "", []string{"192.0.2.010"}, "10.0.0.1"},
		"the other header is the client's":       {"10.0.0.1:1", "Forwarded", nil, "10.0.0.1"},
		"Forwarded":                              {"10.0.0.1:1", "Forwarded", []string{"for=192.0.2.1;proto=https;by=10.0.0.1"}, "192.0.2.1"},
		"Forwarded, any case, any order":         {"10.0.0.1:1", "forwarded", []string{"proto=https; For=192.0.2.1"}, "192.0.2.1"},
		"Forwarded, IPv6":                        {"10.0.0.1:1", "Forwarded", []string{`For="[2001:db8::1]:4711"`}, "2001:db8::1"},
		"Forwarded, spoofed":                     {"10.0.0.1:1", "Forwarded", []string{"for=203.0.113.9, for=192.0.2.1, for=10.0.0.2"}, "192.0.2.1"},
		"Forwarded, a quote that is left open":   {"10.0.0.1:1", "Forwarded", []string{`for="203.0.113.9, for=192.0.2.1`}, "192.0.2.1"},
		"Forwarded, an open quote, escaped":      {"10.0.0.1:1", "Forwarded", []string{`for=203.0.113.9;x="\, for="192.0.2.1"`}, "192.0.2.1"},
		"Forwarded, a comma in quotes":           {"10.0.0.1:1", "Forwarded", []string{`for=192.0.2.1;host="a, for=203.0.113.9"`}, "192.0.2.1"},
		"Forwarded, a quote in quotes":           {"10.0.0.1:1", "Forwarded", []string{`for=192.0.2.1;host="a\", for=203.0.113.9"`}, "192.0.2.1"},
		"Forwarded, a semicolon in quotes":       {"10.0.0.1:1", "Forwarded", []string{`for=192.0.2.1;host="a;for=203.0.113.9"`}, "192.0.2.1"},
		"Forwarded, twice":                       {"10.0.0.1:1", "Forwarded", []string{"for=192.0.2.1;for=203.0.113.9"}, "10.0.0.1"},
		"Forwarded, hidden":                      {"10.0.0.1:1", "Forwarded", []string{"for=203.0.113.9, for=_secret"}, "10.0.0.1"},
		"Forwarded, nothing for":                 {"10.0.0.1:1", "Forwarded", []string{"for=203.0.113.9, proto=https"}, "10.0.0.1"},
		"Forwarded, nonsense":                    {"10.0.0.1:1", "Forwarded", []string{"203.0.113.9"}, "10.0.0.1"},
		"Forwarded, the nearest proxy is silent": {"10.0.0.1:1", "Forwarded", []string{"for=192.0.2.1", ""}, "192.0.2.1"},
		"a socket":                               {"@", "", []string{"192.0.2.1"}, "invalid IP"},
		"nothing at all":                         {"", "", nil, "invalid IP"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSource(t, Config{TrustedProxies: proxies, Header: c.header})
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr = c.remote
			other := map[string]string{forwardedFor: forwarded, forwarded: forwardedFor}[s.cfg.Header]
			r.Header[other] = []string{"for=198.51.100.1", "198.51.100.1"} // what a client may add
			if s.cfg.Header == forwarded {
				r.Header[other] = []string{"198.51.100.1"}
			}
			r.Header[s.cfg.Header] = c.lines
			require.Equal(t, c.want, s.ClientAddress(r).String())
		})
	}
}

// Whatever a client sends, it can't choose its address: that is what the nearest proxy adds.
func TestSpoofing(t *testing.T) {
	t.Parallel()
	for _, header := range []string{forwardedFor, forwarded} {
		s := newSource(t, Config{TrustedProxies: prefixes("10.0.0.0/8"), Header: header})
		added := map[string]string{forwardedFor: "192.0.2.1", forwarded: `for="192.0.2.1";proto=http`}[header]
		const alphabet = `"\,;= for1.:[]` + "\x00\xff"
		require.NoError(t, quick.Check(func(picks []byte) bool {
			sent := make([]byte, len(picks))
			for i, p := range picks {
				sent[i] = alphabet[int(p)%len(alphabet)]
			}
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr = "10.0.0.1:1"
			r.Header[header] = []string{string(sent) + ", " + added}
			return s.ClientAddress(r).String() == "192.0.2.1"
		}, &quick.Config{MaxCount: 5000}))
	}
}

func TestCut(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		agent string
		size  int
		want  string
	}{
		{"Mozilla/5.0", 255, "Mozilla/5.0"}, {"Mozilla/5.0", 7, "Mozilla"}, {"", 5, ""},
		{"aéz", 2, "a"}, {"aéz", 3, "aé"}, {"a🙂", 4, "a"}, {"a🙂", 5, "a🙂"}, {"🙂", 1, ""},
		{"a\x00b\nc", 20, "a\ufffdb\ufffdc"}, {"a\xffb", 20, "a\ufffdb"}, {"\xff\xff", 5, "\ufffd"}, {"\xff", 2, ""}, {"\x80\x80\x80\x80\x80", 4, "\ufffd"},
	} {
		require.Equal(t, c.want, cut(c.agent, c.size), "%q, %d", c.agent, c.size)
	}
	require.NoError(t, quick.Check(func(b []byte, n uint8) bool {
		got := cut(string(b), int(n))
		return utf8.ValidString(got) && len(got) <= int(n) && !strings.Contains(got, "\x00")
	}, nil))
}

func TestConfig(t *testing.T) {
	t.Parallel()
	_, err := New(Config{
		Address: "a", LastSeen: "a", UserAgentSize: -1, TrustedProxies: []netip.Prefix{{}}, Header: "X-Real-IP",
	})
	for _, want := range []string{
		`LastSeen: column "a" is that of Address already`, "UserAgentSize: -1", "TrustedProxies: number 1", `Header: "X-Real-Ip" is not supported: use X-Forwarded-For or Forwarded`,
	} {
		require.ErrorContains(t, err, want)
	}
	s := newSource(t, Config{})
	require.Empty(t, s.Columns(s.WithRequest(t.Context(), httptest.NewRequest(http.MethodGet, "/", nil))), "none is named")
	require.Nil(t, s.Columns(context.Background()))

	s = newSource(t, Config{Address: "a", UserAgent: "b", LastSeen: "c"})
	other := newSource(t, Config{Address: "x"})
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	ctx := other.WithRequest(s.WithRequest(t.Context(), r), r)
	require.Len(t, s.Columns(ctx), 3)
	require.Len(t, other.Columns(ctx), 1, "each has its own")
	r.RemoteAddr = "@"
	require.Equal(t, "b", s.Columns(s.WithRequest(t.Context(), r))[0].Name(), "an address that is not known is left alone")
}

// TestStore has requests come in, on each dialect: what they bring is in the columns, and "last seen" writes no more often than it may.
func TestStore(t *testing.T) {
	t.Parallel()
	for _, dialect := range []string{dbtest.SQLite, dbtest.Postgres, dbtest.MySQL} {
		kind := dbtest.Kinds(dialect)[0]
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			db := kind.New(t)
			cfg := entsession.Config{
				Driver: dialect, Database: db.Name, Username: db.User, Password: db.Password, Hostname: db.Host, Port: db.Port,
			}
			if db.File != "" {
				cfg.Database = db.File
			}
			testStore(t, db.Admin(t), cfg)
		})
	}
}

func testStore(t *testing.T, db *sql.DB, cfg entsession.Config) {
	source := newSource(t, Config{Address: "address", UserAgent: "agent", UserAgentSize: 10, LastSeen: "seen", LastSeenInterval: time.Minute})
	start := time.Now().UTC().Truncate(time.Second)
	now := start.Add(400 * time.Millisecond)
	source.now = func() time.Time { return now }
	cfg.ColumnsFunc = source.Columns
	store, err := entsession.Open(t.Context(), cfg)
	require.NoError(t, err)
	defer store.Close()
	require.NoError(t, store.Migrate(t.Context()))
	for _, column := range []string{"address varchar(39)", "agent varchar(10)", "seen timestamp NULL"} {
		_, err := db.ExecContext(t.Context(), "ALTER TABLE sessions ADD COLUMN "+column)
		require.NoError(t, err)
	}

	var id, remote, agent string
	remote, agent = "[2001:db8::1]:99", "Mozilla/5🙂"
	request := func(h func(ctx context.Context)) {
		t.Helper()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.RemoteAddr = remote
		r.Header.Set("User-Agent", agent)
		source.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { h(r.Context()) })).ServeHTTP(httptest.NewRecorder(), r)
	}
	save := func() (wrote bool) {
		t.Helper()
		version := func() (v int64) {
			require.NoError(t, db.QueryRowContext(t.Context(), "SELECT version FROM sessions").Scan(&v))
			return v
		}
		before := version()
		request(func(ctx context.Context) {
			s, err := store.Load(ctx, id)
			require.NoError(t, err)
			require.NoError(t, store.Save(ctx, s))
		})
		return version() != before
	}
	requireRow := func(address, agent string, seen time.Time) {
		t.Helper()
		s, err := store.Load(t.Context(), id)
		require.NoError(t, err)
		got, err := entsession.Get[string](s, "address")
		require.NoError(t, err)
		require.Equal(t, address, got)
		got, err = entsession.Get[string](s, "agent")
		require.NoError(t, err)
		require.Equal(t, agent, got)
		at, err := entsession.Get[time.Time](s, "seen")
		require.NoError(t, err)
		require.True(t, seen.Equal(at), "%v, not %v", at, seen)
	}

	request(func(ctx context.Context) {
		s, err := store.Create(ctx, []byte("x"))
		require.NoError(t, err)
		id = s.ID()
	})
	requireRow("2001:db8::1", "Mozilla/5", start)

	require.False(t, save(), "nothing new")
	now = start.Add(59*time.Second + 999*time.Millisecond)
	require.False(t, save(), "less than the interval")
	now = start.Add(time.Minute)
	require.True(t, save())
	requireRow("2001:db8::1", "Mozilla/5", start.Add(time.Minute))
	require.False(t, save())
	now = start.Add(119 * time.Second)
	require.False(t, save(), "the interval begins with the last write")

	remote = "192.0.2.1:7"
	require.True(t, save(), "another address")
	requireRow("192.0.2.1", "Mozilla/5", start.Add(time.Minute))
	agent = ""
	require.True(t, save(), "another browser")
	requireRow("192.0.2.1", "", start.Add(time.Minute))

	// A host whose clock was far ahead has written.
	now = start.Add(-time.Hour)
	require.True(t, save())
	requireRow("192.0.2.1", "", start.Add(-time.Hour))

	// What a call names is written, coarse or not.
	s, err := store.Load(t.Context(), id)
	require.NoError(t, err)
	require.NoError(t, store.Save(t.Context(), s, entsession.SetCoarse("seen", start.Add(-time.Hour+time.Second), time.Minute)))
	requireRow("192.0.2.1", "", start.Add(-time.Hour+time.Second))

	require.NoError(t, store.Save(t.Context(), s), "without a request, nothing is brought")
	requireRow("192.0.2.1", "", start.Add(-time.Hour+time.Second))
}

package adopting

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/scs/mysqlstore"
	"github.com/alexedwards/scs/pgxstore"
	"github.com/alexedwards/scs/sqlite3store"
	"github.com/alexedwards/scs/v2"
	"github.com/gorilla/securecookie"
	"github.com/gorilla/sessions"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"github.com/wader/gormstore/v2"
	"gorm.io/driver/mysql"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/gorillastore"
	"github.com/entsession/entsession/internal/dbtest"
	_ "github.com/entsession/entsession/mysql"
	"github.com/entsession/entsession/scsstore"
	_ "github.com/entsession/entsession/sqlite"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

const page = "../../../docs/adopting.md"

// env is a database with a table of someone else's.
type env struct {
	*testing.T
	kind dbtest.Kind
	at   *dbtest.DB
	db   *sql.DB
	page string
}

func each(t *testing.T, kinds []string, f func(*env)) {
	t.Parallel()
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	for _, kind := range dbtest.Kinds() {
		if !strings.Contains(strings.Join(kinds, " "), kind.Name) {
			continue
		}
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			db := kind.New(t)
			f(&env{T: t, kind: kind, at: db, db: db.Admin(t), page: string(text)})
		})
	}
}

var all = []string{"postgres15", "mariadb", "sqlite"}

// page's block under a mark, in which "…" stands for the database.
func (e *env) block(mark string) string {
	e.Helper()
	mark = strings.ReplaceAll(mark, "…", map[string]string{dbtest.Postgres: "postgres", dbtest.MySQL: "mysql", dbtest.SQLite: "sqlite"}[e.kind.Dialect])
	found := regexp.MustCompile("(?s)<!-- " + mark + " -->\n```\\w+\n(.*?)```\n").FindStringSubmatch(e.page)
	require.NotNil(e, found, mark)
	return found[1]
}

// run runs the statements of a block; on SQLite a query for copySessions.
func (e *env) run(mark string) {
	e.Helper()
	conn, err := e.db.Conn(e.Context())
	require.NoError(e, err)
	defer conn.Close()
	for _, text := range strings.Split(e.block(mark), ";\n") {
		if strings.TrimSpace(text) == "" {
			continue
		}
		if strings.HasPrefix(text, "SELECT") {
			require.NoError(e, copySessions(e.Context(), e.db, text))
			continue
		}
		_, err := conn.ExecContext(e.Context(), text)
		require.NoError(e, err, text)
	}
}

func (e *env) open(change func(*entsession.Config)) *entsession.Store {
	e.Helper()
	cfg := entsession.Config{
		Driver:   map[string]string{dbtest.Postgres: "postgres", dbtest.MySQL: "mysql", dbtest.SQLite: "sqlite"}[e.kind.Dialect],
		Database: e.at.Name, Username: e.at.User, Password: e.at.Password, Hostname: e.at.Host, Port: e.at.Port, DisableAutopurge: true,
	}
	if e.kind.Dialect == dbtest.SQLite {
		cfg.Database = e.at.File
	}
	if change != nil {
		change(&cfg)
	}
	store, err := entsession.Open(e.Context(), cfg)
	require.NoError(e, err)
	e.Cleanup(func() { require.NoError(e, store.Close()) })
	return store
}

func (e *env) exec(text string) {
	e.Helper()
	_, err := e.db.ExecContext(e.Context(), text)
	require.NoError(e, err)
}

func (e *env) int(query string) (n int) {
	e.Helper()
	require.NoError(e, e.db.QueryRowContext(e.Context(), query).Scan(&n))
	return n
}

// scsTables are word for word those of the READMEs.
var scsTables = map[string]string{
	dbtest.Postgres: `CREATE TABLE sessions (
	token TEXT PRIMARY KEY,
	data BYTEA NOT NULL,
	expiry TIMESTAMPTZ NOT NULL
)`,
	dbtest.MySQL: `CREATE TABLE sessions (
	token CHAR(43) PRIMARY KEY,
	data BLOB NOT NULL,
	expiry TIMESTAMP(6) NOT NULL
)`,
	dbtest.SQLite: `CREATE TABLE sessions (
	token TEXT PRIMARY KEY,
	data BLOB NOT NULL,
	expiry REAL NOT NULL
)`,
}

func TestSCS(t *testing.T) {
	each(t, all, func(e *env) {
		ctx := e.Context()
		e.exec(scsTables[e.kind.Dialect])
		e.exec("CREATE INDEX sessions_expiry_idx ON sessions (expiry)")
		old := scs.New()
		switch e.kind.Dialect {
		case dbtest.Postgres:
			pool, err := pgxpool.New(ctx, e.at.DSN())
			require.NoError(e, err)
			defer pool.Close()
			old.Store = pgxstore.NewWithCleanupInterval(pool, 0)
		case dbtest.MySQL:
			old.Store = mysqlstore.NewWithCleanupInterval(e.db, 0)
		default:
			old.Store = sqlite3store.NewWithCleanupInterval(e.db, 0)
		}
		long := strings.Repeat("long enough for several lines of base64 ", 20)
		session := func(lifetime time.Duration, hashed bool) (token string, expiry time.Time) {
			old.Lifetime, old.HashTokenInStore = lifetime, hashed
			c, err := old.Load(ctx, "")
			require.NoError(e, err)
			old.Put(c, "user", "ann")
			old.Put(c, "visits", 41)
			old.Put(c, "long", long)
			token, expiry, err = old.Commit(c)
			require.NoError(e, err)
			return token, expiry
		}
		token, expiry := session(24*time.Hour, false)
		ended, _ := session(-time.Minute, false)
		hashed, _ := session(24*time.Hour, true)

		e.run("scs rename")
		store := e.open(nil)
		require.NoError(e, store.Migrate(ctx))
		e.run("scs …")
		if e.kind.Dialect != dbtest.SQLite { // which has one session less: it would be hashed twice
			require.Equal(e, 2, e.int("SELECT COUNT(*) FROM sessions"), "none that has expired")
		}

		sessions := scs.New()
		sessions.Store = scsstore.New(store)
		visit := func(token string, visits int) {
			e.Helper()
			c, err := sessions.Load(ctx, token)
			require.NoError(e, err)
			require.Equal(e, "ann", sessions.GetString(c, "user"))
			require.Equal(e, long, sessions.GetString(c, "long"))
			require.Equal(e, visits, sessions.GetInt(c, "visits"))
			sessions.Put(c, "visits", visits+1)
			_, _, err = sessions.Commit(c)
			require.NoError(e, err)
		}
		got, err := store.Load(ctx, token)
		require.NoError(e, err)
		require.WithinDuration(e, expiry, got.Expires(), time.Second)
		require.False(e, got.Expires().After(expiry), "%v, and scs meant %v", got.Expires(), expiry)
		visit(token, 41)
		visit(token, 42)
		c, err := sessions.Load(ctx, ended)
		require.NoError(e, err)
		require.Empty(e, sessions.Keys(c))
		require.NoError(e, store.Delete(ctx, token))
		c, err = sessions.Load(ctx, token)
		require.NoError(e, err)
		require.Empty(e, sessions.Keys(c), "from now on, ended is ended")

		// Of a manager with HashTokenInStore the table has hashes: they are taken as they are.
		e.exec("DELETE FROM sessions")
		if e.kind.Dialect == dbtest.Postgres {
			e.run("scs hashed …")
			visit(hashed, 41)
		}
	})
}

func TestGormstore(t *testing.T) {
	each(t, all, func(e *env) {
		var dialector gorm.Dialector = postgres.New(postgres.Config{Conn: e.db})
		ended := "'2001-01-01'"
		switch e.kind.Dialect {
		case dbtest.SQLite:
			// The drivers that gorm has for SQLite need cgo, or can't share a program with modernc's. This is the table that they make, and the form in which
			// they write times; MySQL's dialect has the statements.
			e.exec("CREATE TABLE `sessions` (`id` text,`data` text,`created_at` datetime,`updated_at` datetime,`expires_at` datetime,PRIMARY KEY (`id`))")
			db, err := sql.Open("sqlite", e.at.DSN()+"&_time_format=sqlite")
			require.NoError(e, err)
			defer db.Close()
			dialector = mysql.New(mysql.Config{Conn: db, SkipInitializeWithVersion: true})
			ended = "strftime('%Y-%m-%d %H:%M:%S', 'now', '+5 hours') || '+05:30'" // half an hour ago, in India
		case dbtest.MySQL:
			db, err := sql.Open("mysql", e.at.DSN()+"&parseTime=true")
			if !strings.Contains(e.at.DSN(), "?") {
				db, err = sql.Open("mysql", e.at.DSN()+"?parseTime=true")
			}
			require.NoError(e, err)
			defer db.Close()
			dialector = mysql.New(mysql.Config{Conn: db})
		}
		g, err := gorm.Open(dialector, &gorm.Config{Logger: logger.Discard})
		require.NoError(e, err)
		key := make([]byte, 32)
		_, _ = rand.Read(key) // never fails
		pairs := [][]byte{key}
		if e.kind.Dialect == dbtest.SQLite { // and here they are encrypted
			pairs = append(pairs, make([]byte, 32))
			_, _ = rand.Read(pairs[1])
		}
		old := gormstore.NewOptions(g, gormstore.Options{SkipCreateTable: e.kind.Dialect == dbtest.SQLite}, pairs...)
		visit := func(store sessions.Store, cookie string, visits int) string {
			e.Helper()
			r := httptest.NewRequest("GET", "/", nil).WithContext(e.Context())
			r.Header.Set("Cookie", cookie)
			session, err := store.New(r, "shop")
			require.NoError(e, err)
			if visits > 0 {
				require.False(e, session.IsNew)
				require.Equal(e, visits, session.Values["visits"])
			} else {
				require.Empty(e, session.Values)
			}
			session.Values["visits"] = visits + 1
			w := httptest.NewRecorder()
			require.NoError(e, store.Save(r, w, session))
			set, err := http.ParseSetCookie(w.Header().Get("Set-Cookie"))
			require.NoError(e, err)
			return set.Name + "=" + set.Value
		}
		cookie := visit(old, "", 0)
		visit(old, cookie, 1)
		over := visit(old, "", 0)
		e.exec("UPDATE sessions SET expires_at = " + ended + " WHERE created_at = (SELECT * FROM (SELECT MAX(created_at) FROM sessions) AS latest)")

		e.run("gormstore rename")
		store := e.open(nil)
		require.NoError(e, store.Migrate(e.Context()))
		e.run("gormstore …")
		require.Equal(e, 1, e.int("SELECT COUNT(*) FROM sessions"))

		sessions := gorillastore.New(store, key)
		sessions.Serializer = fromGormstore{name: "shop", codecs: securecookie.CodecsFromPairs(key)}
		if len(pairs) > 1 {
			sessions = gorillastore.New(store, pairs...)
			sessions.Serializer = fromGormstore{name: "shop", codecs: securecookie.CodecsFromPairs(pairs...)}
		}
		for s, err := range store.List(e.Context()) {
			require.NoError(e, err)
			require.WithinDuration(e, time.Now().Add(30*24*time.Hour), s.Expires(), 20*time.Second)
			require.WithinDuration(e, time.Now(), s.Created(), 20*time.Second)
		}
		cookie = visit(sessions, cookie, 2)
		visit(sessions, cookie, 3)
		visit(sessions, over, 0)
		s, err := gorillastore.New(store, pairs...).New(request(e.Context(), cookie), "shop")
		require.NoError(e, err, "what was saved since is in the ordinary form")
		require.Equal(e, 4, s.Values["visits"])
	})
}

func request(ctx context.Context, cookie string) *http.Request {
	r := httptest.NewRequest("GET", "/", nil).WithContext(ctx)
	r.Header.Set("Cookie", cookie)
	return r
}

// TestThreeColumns: the historic table has plain ids, and nothing but the three columns.
func TestThreeColumns(t *testing.T) {
	each(t, all, func(e *env) {
		ctx := e.Context()
		e.exec("CREATE TABLE sessions (id char(72) NOT NULL PRIMARY KEY, data text, timeout integer)")
		e.exec("INSERT INTO sessions VALUES ('0a1b2c3d4e5f', '{\"user\":\"ann\"}', 2000000000), ('f5e4d3c2b1a0', 'x', 1)")
		const more = 20 // hashes of all kinds
		for i := range more {
			e.exec(fmt.Sprintf("INSERT INTO sessions VALUES ('%d', 'x', 2000000000)", i))
		}
		plain := e.open(func(c *entsession.Config) { c.PlainIDs = true })
		s, err := plain.Load(ctx, "0a1b2c3d4e5f")
		require.NoError(e, err)
		require.Equal(e, `{"user":"ann"}`, string(s.Data))

		e.run("three columns hash …")
		if e.kind.Dialect == dbtest.SQLite {
			require.NoError(e, e.open(nil).Migrate(ctx))
			e.run("three columns copy …")
		}
		store := e.open(nil)
		s, err = store.Load(ctx, "0a1b2c3d4e5f")
		require.NoError(e, err)
		require.Equal(e, `{"user":"ann"}`, string(s.Data))
		require.Equal(e, int64(2000000000), s.Expires().Unix())
		for i := range more {
			_, err := store.Load(ctx, fmt.Sprint(i))
			require.NoError(e, err)
		}
		s.Data = []byte("y")
		require.NoError(e, store.Save(ctx, s))
		_, err = store.Load(ctx, "f5e4d3c2b1a0")
		require.ErrorIs(e, err, entsession.ErrNotFound)
		_, err = plain.Load(ctx, "0a1b2c3d4e5f")
		require.ErrorIs(e, err, entsession.ErrNotFound, "the table no longer has what a client holds")
	})
}

// TestPage: the Go code of the page is the code that was tried here.
func TestPage(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	for file, from := range map[string]string{"sqlite.go": "// copySessions", "gorm.go": "// fromGormstore"} {
		code, err := os.ReadFile(file)
		require.NoError(t, err)
		_, body, _ := strings.Cut(string(code), from)
		require.True(t, strings.Contains(string(text), "```go\n"+from+body+"```\n"), "the page does not show what is in %s", file)
	}
	used := "sessions.Serializer = fromGormstore{name: \"shop\", codecs: securecookie.CodecsFromPairs(key)}\n"
	test, err := os.ReadFile("adopting_test.go")
	require.NoError(t, err)
	require.True(t, strings.Contains(string(text), used) && strings.Contains(string(test), "\t"+used), "the page does not use what is tried here")
}

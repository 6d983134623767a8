package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/entsession/entsession/internal/backend"
	"github.com/entsession/entsession/internal/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, s backend.Settings) *sql.DB {
	t.Helper()
	c, err := Connector(s)
	require.NoError(t, err)
	pool := sql.OpenDB(c)
	t.Cleanup(func() { require.NoError(t, pool.Close()) })
	return pool
}

func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func text(t *testing.T, pool *sql.DB, query string, args ...any) string {
	t.Helper()
	var s string
	require.NoError(t, pool.QueryRowContext(deadline(t), query, args...).Scan(&s), query)
	return s
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	pool := open(t, backend.Settings{Database: filepath.Join(t.TempDir(), "d"), Username: "u", Hostname: "localhost", Port: 5432, Charset: "utf8"})
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "busy_timeout": "10000", "foreign_keys": "1"} {
		require.Equal(t, want, text(t, pool, `PRAGMA `+pragma), pragma)
	}
	_, err := pool.Exec(`CREATE TABLE t (d datetime)`)
	require.NoError(t, err)
	_, err = pool.Exec(`INSERT INTO t VALUES (?)`, time.Date(2040, 1, 2, 3, 4, 5, 6e6, time.UTC))
	require.NoError(t, err)
	require.Equal(t, "2040-01-02 03:04:05.006", text(t, pool, `SELECT strftime('%F %H:%M:%f', d) FROM t`), "SQLite understands the times")

	// A transaction takes the lock when it begins: the second one waits there.
	tx, err := pool.Begin()
	require.NoError(t, err)
	defer func() { _ = tx.Rollback() }()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	_, err = pool.BeginTx(ctx, nil)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestParams(t *testing.T) {
	t.Parallel()
	pool := open(t, backend.Settings{Database: filepath.Join(t.TempDir(), "d"), Params: map[string]string{
		"journal_mode": "delete", "synchronous": "extra", "busy_timeout": "5000", "foreign_keys": "off", "cache_size": "-4000", "secure_delete": "on",
		"_txlock": "deferred", "cache": "private",
	}})
	for pragma, want := range map[string]string{
		"journal_mode": "delete", "synchronous": "3", "busy_timeout": "5000", "foreign_keys": "0", "cache_size": "-4000", "secure_delete": "1",
	} {
		require.Equal(t, want, text(t, pool, `PRAGMA `+pragma), pragma)
	}
	for _, test := range []struct {
		params                map[string]string
		autocheckpoint, cache string
	}{
		{nil, "8000", "-2000"},
		{map[string]string{"wal_autocheckpoint": "77", "cache_size": "-4000"}, "77", "-4000"},
		{map[string]string{"wal_autocheckpoint": "9000"}, "9000", "-2000"},
		{map[string]string{"_pragma": "wal_autocheckpoint(77)", "cache_size": "-4000"}, "77", "-4000"},
		{map[string]string{"_pragma": "cache_size(-4000)"}, "8000", "-4000"},
	} {
		for range 4 { // in whatever order
			pool := open(t, backend.Settings{Database: filepath.Join(t.TempDir(), "d"), Params: test.params})
			require.Equal(t, test.autocheckpoint, text(t, pool, `PRAGMA wal_autocheckpoint`), "%v", test.params)
			require.Equal(t, test.cache, text(t, pool, `PRAGMA cache_size`), "%v", test.params)
		}
	}
	dotfile := open(t, backend.Settings{Database: filepath.Join(t.TempDir(), "d"), Params: map[string]string{"vfs": "unix-dotfile", "journal_mode": "delete"}})
	_, err := dotfile.Exec(`CREATE TABLE t (n int)`)
	require.NoError(t, err)

	for range 2 {
		tx, err := pool.Begin()
		require.NoError(t, err, "two deferred transactions")
		defer func() { _ = tx.Rollback() }()
	}
}

func TestBadSettings(t *testing.T) {
	t.Parallel()
	param := func(name, value string) backend.Settings {
		return backend.Settings{Database: "d", Params: map[string]string{name: value}}
	}
	for want, s := range map[string]backend.Settings{
		`database: is required`:                                   {},
		`database: holds a NUL`:                                   {Database: "a\x00b"},
		`database: "file:d?mode=ro" is a URI`:                     {Database: "file:d?mode=ro"},
		`database: "file::memory:" is a URI`:                      {Database: "file::memory:"},
		`password: SQLite has none`:                               {Database: "d", Password: "hunter2"},
		`charset: "latin1" is not UTF-8`:                          {Database: "d", Charset: "latin1"},
		`params: "jornal_mode" is no PRAGMA`:                      param("jornal_mode", "wal"),
		`params: "" is no PRAGMA`:                                 param("", "wal"),
		`params: cache_size: "1);DROP" is no value`:               param("cache_size", "1);DROP"),
		`params: mode: for a database in memory`:                  param("mode", "memory"),
		`params: "journal_mode" and "_journal_mode" are the same`: {Database: "d", Params: map[string]string{"journal_mode": "wal", "_journal_mode": "wal"}},
	} {
		_, err := Connector(s)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "hunter2")
	}
	// The driver finds these out.
	for want, s := range map[string]backend.Settings{
		`_journal_mode "fast"`: param("journal_mode", "fast"),
		`_synchronous "maybe"`: param("synchronous", "maybe"),
		`_txlock "never"`:      param("_txlock", "never"),
	} {
		s.Database = filepath.Join(t.TempDir(), "d")
		err := open(t, s).PingContext(deadline(t))
		require.ErrorContains(t, err, want)
	}
}

func TestPaths(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, name := range []string{"plain.db", "a b", "a?b=c&d", "a#b", "100%", "%41", "über🔑", "a:b", "a;b", "it's", `q"`, `back\slash`, "-x", "sub/dir/x"} {
		for _, path := range []string{name, filepath.Join(dir, name+".abs"), "./" + name + ".rel", dir + "//" + name + ".double"} {
			require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
			pool := open(t, backend.Settings{Database: path})
			_, err := pool.Exec(`CREATE TABLE t (n int)`)
			require.NoError(t, err, path)
			require.NoError(t, pool.Close())
			info, err := os.Stat(path)
			require.NoError(t, err, path)
			require.Positive(t, info.Size())
		}
	}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 4*13+1, "no other file was made")

	pool := open(t, backend.Settings{Database: "plain.db"})
	t.Chdir(os.TempDir())
	_, err = pool.Exec(`INSERT INTO t VALUES (1)`)
	require.NoError(t, err, "the working directory does not matter any more")
}

func TestCantOpen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	missing := filepath.Join(dir, "missing", "d")
	err := open(t, backend.Settings{Database: missing}).PingContext(deadline(t))
	require.ErrorContains(t, err, missing)
	require.ErrorContains(t, err, "directory "+filepath.Dir(missing)+" does not exist")
	require.Equal(t, fault.Other, fault.Of(err))
	require.NoDirExists(t, filepath.Dir(missing))

	err = open(t, backend.Settings{Database: dir}).PingContext(deadline(t))
	require.ErrorContains(t, err, "it is a directory")

	err = open(t, backend.Settings{Database: filepath.Join(dir, "d"), Params: map[string]string{"mode": "ro"}}).PingContext(deadline(t))
	require.Error(t, err)
	require.NoFileExists(t, filepath.Join(dir, "d"))

	notADatabase := filepath.Join(dir, "text")
	require.NoError(t, os.WriteFile(notADatabase, []byte("this is a text, and it is long enough for a header"), 0o600))
	err = open(t, backend.Settings{Database: notADatabase}).PingContext(deadline(t))
	require.ErrorContains(t, err, "not a database")
	require.Equal(t, fault.Other, fault.Of(err))
}

// sharedFile, in the environment, is the file that another process of this test opens.
const sharedFile = "ENTSESSION_TEST_SQLITE_FILE"

// Many pools of several processes at once create the file and switch it to WAL.
func TestFirstOpen(t *testing.T) {
	t.Parallel()
	const processes, pools = 6, 4
	if path := os.Getenv(sharedFile); path != "" {
		insertAll(t, path, pools)
		return
	}
	path := filepath.Join(t.TempDir(), "d")
	var all sync.WaitGroup
	for range processes - 1 {
		all.Go(func() {
			again := exec.Command(os.Args[0], "-test.run=^TestFirstOpen$")
			again.Env = append(os.Environ(), sharedFile+"="+path)
			if out, err := again.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	insertAll(t, path, pools)
	all.Wait()
	require.Equal(t, fmt.Sprint(processes*pools), text(t, open(t, backend.Settings{Database: path}), `SELECT count(*) FROM t`))
}

func insertAll(t *testing.T, path string, pools int) {
	t.Helper()
	var all sync.WaitGroup
	for range pools {
		pool := open(t, backend.Settings{Database: path})
		all.Go(func() {
			_, err := pool.Exec(`CREATE TABLE IF NOT EXISTS t (n int)`)
			if err == nil {
				_, err = pool.Exec(`INSERT INTO t VALUES (1)`)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

func TestMemory(t *testing.T) {
	t.Parallel()
	const writers, each = 4, 50
	pool, other := open(t, backend.Settings{Database: ":memory:"}), open(t, backend.Settings{Database: ":memory:"})
	pool.SetMaxOpenConns(writers)
	_, err := pool.Exec(`CREATE TABLE t (n int)`)
	require.NoError(t, err)
	_, err = pool.Exec(`INSERT INTO t VALUES (0)`)
	require.NoError(t, err)
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			for range each {
				tx, err := pool.BeginTx(deadline(t), nil)
				if err == nil {
					var n int
					err = tx.QueryRow(`SELECT n FROM t`).Scan(&n)
					if err == nil {
						_, err = tx.Exec(`UPDATE t SET n = ?`, n+1)
					}
					if err == nil {
						err = tx.Commit()
					}
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	require.Equal(t, fmt.Sprint(writers*each), text(t, pool, `SELECT n FROM t`))

	pool.SetMaxIdleConns(-1) // closes them all
	require.Zero(t, pool.Stats().OpenConnections)
	require.Equal(t, fmt.Sprint(writers*each), text(t, pool, `SELECT n FROM t`), "it lives as long as the pool")

	_, err = other.Exec(`SELECT n FROM t`)
	require.Equal(t, fault.NoTable, fault.Of(err), "each pool has its own: %v", err)
	require.NoFileExists(t, "/entsession-1")
	require.NoError(t, pool.Close())
}

// A connection that is in use all the time never idles, and yet finds out that its file was replaced.
func TestFileReplacedUnderLoad(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "d")
	c, err := newFile(path, mustParams(t, nil), 0)
	require.NoError(t, err)
	opened, err := c.Connect(deadline(t))
	require.NoError(t, err)
	defer opened.Close()
	require.NoError(t, opened.(*conn).ResetSession(deadline(t)))
	require.NoError(t, opened.(*conn).Ping(deadline(t)))
	require.NoError(t, os.Remove(path))
	require.Error(t, opened.(*conn).ResetSession(deadline(t)))
	require.Error(t, opened.(*conn).Ping(deadline(t)))
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	require.Error(t, opened.(*conn).ResetSession(deadline(t)), "another file of that name")
}

func mustParams(t *testing.T, given map[string]string) map[string][]string {
	t.Helper()
	query, err := params(given)
	require.NoError(t, err)
	return query
}

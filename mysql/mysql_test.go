package mysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/entsession/entsession/internal/backend"
	"github.com/entsession/entsession/internal/dbtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(dbtest.Runner(m)) }

func settings(db *dbtest.DB) backend.Settings {
	return backend.Settings{
		Database: db.Name, Username: db.User, Password: db.Password, Hostname: db.Host, Port: db.Port,
		CheckThreshold: time.Hour,
	}
}

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

func forEach(t *testing.T, f func(t *testing.T, db *dbtest.DB)) {
	t.Parallel()
	for _, kind := range dbtest.Kinds(dbtest.MySQL) {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			f(t, kind.New(t))
		})
	}
}

func text(t *testing.T, pool *sql.DB, query string, args ...any) string {
	t.Helper()
	var s string
	require.NoError(t, pool.QueryRowContext(deadline(t), query, args...).Scan(&s))
	return s
}

func TestConnect(t *testing.T) {
	forEach(t, func(t *testing.T, db *dbtest.DB) {
		s := settings(db)
		for _, charset := range []string{"", "utf8", "UTF-8", "utf8mb3", "utf8mb4"} {
			s.Charset = charset
			pool := open(t, s)
			require.Equal(t, "utf8mb4", text(t, pool, `SELECT @@character_set_client`), charset)
			require.Equal(t, `🔑'\`, text(t, pool, `SELECT ?`, `🔑'\`), charset)
		}
		s.Charset = "latin1"
		require.Equal(t, "latin1", text(t, open(t, s), `SELECT @@character_set_client`))
		s.Charset = ""

		s.Hostname, s.Port = db.Socket, 0
		require.Equal(t, db.Name, text(t, open(t, s), `SELECT DATABASE()`))

		s.Params = map[string]string{"wait_timeout": "600", "time_zone": "'+03:00'", "collation": "utf8mb4_bin"}
		pool := open(t, s)
		require.Equal(t, "600", text(t, pool, `SELECT @@wait_timeout`))
		require.Equal(t, "+03:00", text(t, pool, `SELECT @@time_zone`))
		require.Equal(t, "utf8mb4_bin", text(t, pool, `SELECT @@collation_connection`))
		_, err := pool.ExecContext(deadline(t), `SELECT 1; SELECT 2`)
		require.Error(t, err, "several statements in one are off")

		s.Params = map[string]string{"no_such_variable": "1"}
		require.ErrorContains(t, open(t, s).PingContext(deadline(t)), "Unknown system variable 'no_such_variable'")
	})
}

// A value that does not fit is an error, whatever the server thinks of it.
func TestStrict(t *testing.T) {
	forEach(t, func(t *testing.T, db *dbtest.DB) {
		for _, engine := range []string{"InnoDB", "MyISAM"} {
			for _, mode := range []string{"''", "'ANSI_QUOTES'", "'NO_BACKSLASH_ESCAPES'"} {
				name := fmt.Sprintf("%s with sql_mode=%s", engine, mode)
				super := db.Server.New(t)
				admin := super.Super(t)
				_, err := admin.Exec(`CREATE OR REPLACE TABLE t (s varchar(3), n int NOT NULL) ENGINE=` + engine)
				require.NoError(t, err)
				s := settings(super)
				s.OnConnect = []string{`SET @was = @@sql_mode`, `SET SESSION sql_mode = ` + mode, `SET SESSION sql_mode = ` + strict}
				pool := open(t, s)
				require.Contains(t, text(t, pool, `SELECT @@sql_mode`), "STRICT_ALL_TABLES", name)
				require.Contains(t, text(t, pool, `SELECT @@sql_mode`), strings.Trim(mode, "'"), name)
				require.Contains(t, text(t, pool, `SELECT @was`), "STRICT_ALL_TABLES", "by default")
				_, err = pool.Exec(`INSERT INTO t VALUES (?, 1), (?, 2)`, `a`, `it's\four`)
				require.Error(t, err, name)
				var n int
				require.NoError(t, pool.QueryRow(`SELECT count(*) FROM t WHERE s <> 'a'`).Scan(&n))
				require.Zero(t, n, name)
				_, err = pool.Exec(`INSERT INTO t VALUES (?, 1)`, `'\'`)
				require.NoError(t, err)
				require.Equal(t, `'\'`, text(t, pool, `SELECT max(s) FROM t WHERE s <> 'a'`), name)
			}
		}
		s := settings(db)
		s.Params = map[string]string{"sql_mode": "'NO_ZERO_DATE'"}
		require.Equal(t, "NO_ZERO_DATE", text(t, open(t, s), `SELECT @@sql_mode`), "who sets it himself has it so")
	})
}

// Each is a user's password, and the user's name, and the database's.
var odd = []string{`it's`, `back\slash\`, `a=b c='d'`, `%41&x?y#z@h:1/(tcp)`, `пароль🔑`, `"quoted"`, "tab\tnewline\n", `$1;--`, "`"}

func TestOddNames(t *testing.T) {
	forEach(t, func(t *testing.T, db *dbtest.DB) {
		super := db.Super(t)
		for i, o := range odd {
			user, password, database := quote(o+"u"), quote(" "+o+" "), "`"+strings.ReplaceAll(o+"d", "`", "``")+"`"
			if strings.Contains(o, "🔑") { // identifiers have no such characters
				user, database = quote("пользователь"), "`база`"
			}
			for _, statement := range []string{
				`CREATE USER ` + user + `@'%' IDENTIFIED BY ` + password,
				`CREATE DATABASE ` + database,
				`GRANT ALL ON *.* TO ` + user + `@'%'`,
			} {
				_, err := super.Exec(statement)
				require.NoError(t, err, statement)
			}
			s := settings(db)
			s.Database, s.Username, s.Password = o+"d", o+"u", " "+o+" "
			if strings.Contains(o, "🔑") {
				s.Database, s.Username = "база", "пользователь"
			}
			pool := open(t, s)
			require.Equal(t, s.Username+"@%", text(t, pool, `SELECT CURRENT_USER()`), i)
			require.Equal(t, s.Database, text(t, pool, `SELECT DATABASE()`), i)
			require.NoError(t, pool.Close())
			for _, statement := range []string{`DROP DATABASE ` + database, `DROP USER ` + user + `@'%'`} {
				_, err := super.Exec(statement)
				require.NoError(t, err, statement)
			}
		}
	})
}

func quote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

func TestPasswordStaysSecret(t *testing.T) {
	forEach(t, func(t *testing.T, db *dbtest.DB) {
		for name, change := range map[string]func(*backend.Settings){
			"wrong":             func(*backend.Settings) {},
			"unreachable":       func(s *backend.Settings) { s.Port = 1 },
			"unknown host":      func(s *backend.Settings) { s.Hostname = "host.invalid" },
			"unknown parameter": func(s *backend.Settings) { s.Params = map[string]string{"no_such_variable": "1"} },
			"no TLS":            func(s *backend.Settings) { s.Params = map[string]string{"tls": "true"} },
		} {
			s := settings(db)
			s.Password = `s3cr3t's \pw`
			change(&s)
			err := open(t, s).PingContext(deadline(t))
			require.Error(t, err, name)
			t.Log(name+":", err)
			for e := err; e != nil; e = errors.Unwrap(e) {
				for _, format := range []string{"%v", "%+v", "%#v"} {
					require.NotContains(t, fmt.Sprintf(format, e), "s3cr3t", name)
				}
			}
		}
	})
}

// It found a row, and that is what counts.
func TestUpdateThatChangesNothing(t *testing.T) {
	forEach(t, func(t *testing.T, db *dbtest.DB) {
		pool := open(t, settings(db))
		for _, statement := range []string{`CREATE TABLE t (n int)`, `INSERT INTO t VALUES (1)`} {
			_, err := pool.Exec(statement)
			require.NoError(t, err)
		}
		result, err := pool.Exec(`UPDATE t SET n = 1`)
		require.NoError(t, err)
		n, err := result.RowsAffected()
		require.NoError(t, err)
		require.EqualValues(t, 1, n)
	})
}

package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/entsession/entsession/internal/backend"
	"github.com/entsession/entsession/internal/dbtest"
	"github.com/entsession/entsession/internal/fault"
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
	for _, kind := range dbtest.Kinds(dbtest.Postgres) {
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
		require.Equal(t, "entsession", text(t, open(t, s), `SHOW application_name`))

		s.Hostname = db.Socket
		require.Equal(t, db.Name, text(t, open(t, s), `SELECT current_database()`))

		dead, err := os.MkdirTemp("", "")
		require.NoError(t, err)
		defer os.Remove(dead)
		s.Hostname = fmt.Sprintf("%s, 127.0.0.1:1, %s:%d", dead, db.Host, db.Port)
		require.Equal(t, db.Name, text(t, open(t, s), `SELECT current_database()`), "the third host is alive")

		s.Params = map[string]string{"sslmod": "disable"}
		require.ErrorContains(t, open(t, s).PingContext(deadline(t)), `unrecognized configuration parameter "sslmod"`)

		for _, mode := range []string{"cache_statement", "cache_describe", "describe_exec", "exec", "simple_protocol"} {
			s.Params = map[string]string{"default_query_exec_mode": mode, "statement_timeout": "7s", "search_path": `"it's", public`}
			pool := open(t, s)
			require.Equal(t, "7s", text(t, pool, `SHOW statement_timeout`), mode)
			require.Equal(t, `"it's", public`, text(t, pool, `SHOW search_path`), mode)
			require.Equal(t, "ü🔑", text(t, pool, `SELECT ($1::text[])[2]`, []string{"a", "ü🔑"}), mode)
		}
	})
}

// Each is a user's password, and the user's name, and the database's.
var odd = []string{`it's`, `back\slash\`, ` spaces `, `a=b c='d'`, `%41&x?y#z@h:1/`, `пароль🔑`, `"quoted"`, "tab\tnewline\n", `$1;--`, `postgres://u:p@h/d`}

func TestOddNames(t *testing.T) {
	forEach(t, func(t *testing.T, db *dbtest.DB) {
		super := db.Super(t)
		for _, o := range odd {
			name := o + db.Name // roles are the whole server's
			if len(name) > 63 {
				name = name[:len(o)] + "_odd"
			}
			identifier, literal := `"`+strings.ReplaceAll(name, `"`, `""`)+`"`, `E'`+strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(o)+`'`
			for _, statement := range []string{`CREATE ROLE ` + identifier + ` LOGIN PASSWORD ` + literal, `CREATE DATABASE ` + identifier + ` OWNER ` + identifier} {
				_, err := super.Exec(statement)
				require.NoError(t, err, statement)
			}
			s := settings(db)
			s.Database, s.Username, s.Password = name, name, o
			pool := open(t, s)
			require.Equal(t, name, text(t, pool, `SELECT current_user`))
			require.Equal(t, name, text(t, pool, `SELECT current_database()`))
			require.NoError(t, pool.Close())
			for _, statement := range []string{`DROP DATABASE ` + identifier, `DROP ROLE ` + identifier} {
				_, err := super.Exec(statement)
				require.NoError(t, err, statement)
			}
		}
	})
}

func TestPasswordStaysSecret(t *testing.T) {
	forEach(t, func(t *testing.T, db *dbtest.DB) {
		for name, change := range map[string]func(*backend.Settings){
			"wrong":             func(*backend.Settings) {},
			"unreachable":       func(s *backend.Settings) { s.Port = 1 },
			"unknown host":      func(s *backend.Settings) { s.Hostname = "host.invalid" },
			"unknown parameter": func(s *backend.Settings) { s.Params = map[string]string{"sslmod": "hush"} },
			"no TLS":            func(s *backend.Settings) { s.Params = map[string]string{"sslmode": "require"} },
		} {
			s := settings(db)
			s.Password = `s3cr3t's \pw`
			change(&s)
			err := open(t, s).PingContext(deadline(t))
			require.Error(t, err, name)
			t.Log(name+":", err)
			require.NotContains(t, err.Error(), "\n", name)
			for e := err; e != nil; e = errors.Unwrap(e) {
				for _, format := range []string{"%v", "%+v", "%#v"} {
					require.NotContains(t, fmt.Sprintf(format, e), "s3cr3t", name)
				}
			}
			var config *pgconn.ConnectError
			require.False(t, errors.As(err, &config), "it leads to the configuration")
		}
	})
}

// With several hosts, one that takes no writes is not good enough.
func TestReadOnlyHosts(t *testing.T) {
	forEach(t, func(t *testing.T, db *dbtest.DB) {
		s := settings(db)
		s.Hostname = fmt.Sprintf("%[1]s:%[2]d,%[1]s:%[2]d", db.Host, db.Port)
		require.NoError(t, open(t, s).PingContext(deadline(t)))
		_, err := db.Admin(t).Exec(`ALTER DATABASE ` + db.Name + ` SET default_transaction_read_only = on`)
		require.NoError(t, err)
		err = open(t, s).PingContext(deadline(t))
		require.Equal(t, fault.ReadOnly, fault.Of(err), "%v", err)
		s.Hostname = db.Host
		require.NoError(t, open(t, s).PingContext(deadline(t)))
	})
}

// After Close, nothing of a connection is left whose statement was cancelled.
func TestCloseWaits(t *testing.T) {
	forEach(t, func(t *testing.T, db *dbtest.DB) {
		for range 5 {
			config, err := configure(settings(db))
			require.NoError(t, err)
			connector := newConnector(config)
			opened, err := connector.Connect(deadline(t))
			require.NoError(t, err)
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
			_, err = opened.(driver.ExecerContext).ExecContext(ctx, `SELECT pg_sleep(60)`, nil)
			cancel()
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.NoError(t, opened.Close())
			done := opened.(*conn).Conn.Conn().PgConn().CleanupDone()
			require.NoError(t, connector.Close())
			select {
			case <-done:
			default:
				require.Fail(t, "a goroutine is still at it")
			}
			require.Empty(t, connector.closing)
		}
	})
}

package dbtest

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(Runner(m)) }

func TestKinds(t *testing.T) {
	t.Parallel()
	var names []string
	for _, k := range Kinds() {
		names = append(names, k.Name)
	}
	require.Equal(t, "sqlite", names[0])
	require.Contains(t, names, "postgres10")
	require.Contains(t, names, "postgres18")
	require.Equal(t, "mariadb", names[len(names)-1])
	for _, k := range Kinds(Postgres) {
		require.Equal(t, Postgres, k.Dialect)
	}
	require.Len(t, Kinds(SQLite, MySQL), 2)
}

// TestNew is what each test relies on: an empty database that nobody else sees.
func TestNew(t *testing.T) {
	t.Parallel()
	for _, k := range Kinds() {
		t.Run(k.Name, func(t *testing.T) {
			t.Parallel()
			one, two := k.New(t).Admin(t), k.New(t).Admin(t)
			for i, db := range []*sql.DB{one, two} {
				_, err := db.Exec(`CREATE TABLE probe (n integer)`)
				require.NoError(t, err)
				_, err = db.Exec(fmt.Sprintf(`INSERT INTO probe VALUES (%d)`, i))
				require.NoError(t, err)
			}
			require.Equal(t, "0", ask(t, one, `SELECT n FROM probe`))
			require.Equal(t, "1", ask(t, two, `SELECT n FROM probe`))
		})
	}
}

// TestServerVersion shows that a kind's name tells the truth.
func TestServerVersion(t *testing.T) {
	t.Parallel()
	for _, k := range Kinds(Postgres, MySQL) {
		t.Run(k.Name, func(t *testing.T) {
			t.Parallel()
			version := ask(t, k.New(t).Admin(t), `SELECT version()`)
			if k.Dialect == MySQL {
				require.Contains(t, version, "MariaDB")
				return
			}
			require.Contains(t, version, "PostgreSQL "+strings.TrimPrefix(k.Name, "postgres")+".")
		})
	}
}

// TestDropped leaves a transaction open on a database whose test has ended: its database goes all the same.
func TestDropped(t *testing.T) {
	t.Parallel()
	for _, k := range Kinds(Postgres, MySQL) {
		t.Run(k.Name, func(t *testing.T) {
			t.Parallel()
			kept := k.New(t)
			var dropped *DB
			var leaked *sql.DB
			var tx *sql.Tx
			t.Run("inner", func(t *testing.T) {
				dropped = k.New(t)
				var err error
				leaked, err = sql.Open(k.engine.driver(), dropped.DSN())
				require.NoError(t, err)
				_, err = leaked.Exec(`CREATE TABLE probe (n integer)`)
				require.NoError(t, err)
				tx, err = leaked.Begin()
				require.NoError(t, err)
				_, err = tx.Exec(`INSERT INTO probe VALUES (1)`)
				require.NoError(t, err)
			})
			require.NotNil(t, tx)
			t.Cleanup(func() { _, _ = tx.Rollback(), leaked.Close() }) // the server has ended them already

			databases := `SELECT count(*) FROM pg_database WHERE datname = '%s'`
			if k.Dialect == MySQL {
				databases = `SELECT count(*) FROM information_schema.schemata WHERE schema_name = '%s'`
			}
			super := kept.Super(t)
			require.Equal(t, "1", ask(t, super, fmt.Sprintf(databases, kept.Name)))
			require.Equal(t, "0", ask(t, super, fmt.Sprintf(databases, dropped.Name)))
		})
	}
}

// TestReused fills a database in every way that tests do; the next test, which may get the same one, finds none of it.
func TestReused(t *testing.T) {
	t.Parallel()
	for _, k := range Kinds(Postgres, MySQL) {
		t.Run(k.Name, func(t *testing.T) {
			t.Parallel()
			s := k.Start(t)
			stmts := []string{`CREATE TABLE probe (n integer)`, `CREATE VIEW seen AS SELECT n FROM probe`}
			leftovers := `SELECT count(*) FROM information_schema.tables WHERE table_schema = database()`
			if k.Dialect == Postgres {
				stmts = append(stmts, `CREATE SCHEMA "a ""quoted"" one"`, `CREATE TABLE "a ""quoted"" one".probe (n integer)`,
					`CREATE TYPE mood AS ENUM ('fine')`, `ALTER SCHEMA public RENAME TO other`)
				leftovers = `SELECT (SELECT count(*) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema'))
					+ (SELECT count(*) FROM pg_views WHERE schemaname NOT IN ('pg_catalog', 'information_schema'))
					+ (SELECT count(*) FROM pg_namespace WHERE nspname NOT LIKE 'pg\_%' AND nspname NOT IN ('information_schema', 'public'))
					+ (SELECT count(*) FROM pg_type WHERE typname = 'mood')`
			}
			pristine := ""
			for round := range 3 {
				t.Run(fmt.Sprint(round), func(t *testing.T) {
					d := s.New(t)
					require.Equal(t, "0", ask(t, d.Super(t), leftovers))
					if k.Dialect == Postgres {
						acl := ask(t, d.Admin(t), `SELECT nspowner::regrole || ' ' || nspacl::text FROM pg_namespace WHERE nspname = 'public'`)
						if round == 0 {
							pristine = acl
						}
						require.Equal(t, pristine, acl)
						require.Equal(t, "4MB", ask(t, d.Admin(t), `SHOW work_mem`))
						_, err := d.Super(t).Exec(`ALTER DATABASE "` + d.Name + `" SET work_mem = '1MB'`)
						require.NoError(t, err)
						require.Equal(t, "1MB", ask(t, d.Admin(t), `SHOW work_mem`))
					}
					for _, stmt := range stmts {
						_, err := d.Super(t).Exec(stmt)
						require.NoError(t, err, stmt)
					}
				})
			}
		})
	}
}

func TestPasswords(t *testing.T) {
	t.Parallel()
	for _, k := range Kinds(Postgres, MySQL) {
		t.Run(k.Name, func(t *testing.T) {
			t.Parallel()
			d := k.New(t)
			for _, host := range []string{"TCP", "socket"} {
				require.NoError(t, tryLogin(t, d, host, d.User, d.Password), host)
				require.Error(t, tryLogin(t, d, host, d.User, d.Password+"x"), host)
				require.Error(t, tryLogin(t, d, host, d.User, ""), host)
				require.Error(t, tryLogin(t, d, host, "nobody", ""), host)
			}
		})
	}
}

// tryLogin tries one login.
func tryLogin(t *testing.T, d *DB, host, user, password string) error {
	t.Helper()
	var dsn string
	switch d.Kind.Dialect {
	case Postgres:
		addr, port := d.Host, d.Port
		if host == "socket" {
			addr = d.Socket
		}
		dsn = fmt.Sprintf("host=%s port=%d user=%s password='%s' dbname=%s sslmode=disable", addr, port, user, password, d.Name)
	case MySQL:
		c := mysql.NewConfig()
		c.User, c.Passwd, c.DBName = user, password, d.Name
		c.Net, c.Addr = "tcp", d.Server.Addr()
		if host == "socket" {
			c.Net, c.Addr = "unix", d.Socket
		}
		dsn = c.FormatDSN()
	}
	db, err := sql.Open(d.Kind.engine.driver(), dsn)
	require.NoError(t, err)
	defer db.Close()
	return db.Ping()
}

func TestOwnerIsNoSuperuser(t *testing.T) {
	t.Parallel()
	for _, k := range Kinds(Postgres, MySQL) {
		t.Run(k.Name, func(t *testing.T) {
			t.Parallel()
			d := k.New(t)
			privileged := `ALTER SYSTEM SET work_mem = '4MB'`
			if k.Dialect == MySQL {
				privileged = `SET GLOBAL read_only = 0`
			}
			_, err := d.Admin(t).Exec(privileged)
			require.Error(t, err)
			_, err = d.Super(t).Exec(privileged)
			require.NoError(t, err)
			_, err = d.Admin(t).Exec(`CREATE SCHEMA probe_` + d.Name) // a database, in MariaDB
			require.NoError(t, err)
			_, err = d.Admin(t).Exec(`DROP SCHEMA probe_` + d.Name)
			require.NoError(t, err)
		})
	}
}

// TestNobodyElse shows that no account but ours has been left open.
func TestNobodyElse(t *testing.T) {
	t.Parallel()
	for _, k := range Kinds(MySQL) {
		open := ask(t, k.New(t).Super(t), `SELECT count(*) FROM mysql.global_priv WHERE user NOT IN ('super', 'test')
			AND NOT coalesce(json_value(priv, '$.account_locked'), false)
			AND coalesce(json_value(priv, '$.plugin'), '') <> 'unix_socket'
			AND coalesce(json_value(priv, '$.authentication_string'), '') <> 'invalid'`)
		require.Equal(t, "0", open)
	}
}

// TestCollation shows that the databases do not compare bytes unless asked to.
func TestCollation(t *testing.T) {
	t.Parallel()
	for _, k := range Kinds(Postgres, MySQL) {
		t.Run(k.Name, func(t *testing.T) {
			t.Parallel()
			db := k.New(t).Admin(t)
			if k.Dialect == MySQL {
				require.Equal(t, "1", ask(t, db, `SELECT 'a' = 'A'`))
				return
			}
			if k.engine.(postgresEngine).major >= 15 {
				require.Equal(t, "true", ask(t, db, `SELECT 'a' < 'B'`))
			}
			require.Equal(t, "false", ask(t, db, `SELECT 'a' < 'B' COLLATE "C"`))
		})
	}
}

// ask returns the one value that a query gives.
func ask(t *testing.T, db *sql.DB, query string) string {
	t.Helper()
	var value string
	require.NoError(t, db.QueryRow(query).Scan(&value), query)
	return value
}

package fault_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/internal/dbtest"
	"github.com/entsession/entsession/internal/fault"
)

var tables = map[string][]string{
	dbtest.Postgres: {
		`CREATE TABLE parent (id int PRIMARY KEY)`,
		`CREATE TABLE t (id varchar(10) PRIMARY KEY, u int UNIQUE, n smallint CHECK (n > 0), s varchar(3) NOT NULL DEFAULT '', p int REFERENCES parent, d timestamp)`,
	},
	dbtest.MySQL: {
		`CREATE TABLE parent (id int PRIMARY KEY)`,
		`CREATE TABLE t (id varchar(10) PRIMARY KEY, u int UNIQUE, n smallint CHECK (n > 0), s varchar(3) NOT NULL DEFAULT '', p int, d timestamp NULL,
			r int NOT NULL DEFAULT 0, l varchar(10) CHARACTER SET latin1, FOREIGN KEY (p) REFERENCES parent (id))`,
		`CREATE TABLE nodefault (a int, b int NOT NULL)`,
	},
	dbtest.SQLite: {
		`CREATE TABLE parent (id integer PRIMARY KEY)`,
		`CREATE TABLE t (id varchar(10) PRIMARY KEY, u int UNIQUE, n smallint CHECK (n > 0), s varchar(3) NOT NULL DEFAULT '', p int REFERENCES parent (id))`,
		`CREATE TABLE st (n int) STRICT`,
		`CREATE TABLE r (rowid_alias int)`,
	},
}

// refused are statements that a database refuses, after "INSERT INTO t (id, u) VALUES ('a', 1)".
var refused = map[string][]struct {
	statement string
	kind      fault.Kind
	code      string
}{
	dbtest.Postgres: {
		{`INSERT INTO t (id) VALUES ('a')`, fault.Duplicate, "SQLSTATE 23505"},
		{`INSERT INTO t (id, u) VALUES ('b', 1)`, fault.Duplicate, "SQLSTATE 23505"},
		{`INSERT INTO t (id, s) VALUES ('b', NULL)`, fault.Constraint, "SQLSTATE 23502"},
		{`INSERT INTO t (id, n) VALUES ('b', 0)`, fault.Constraint, "SQLSTATE 23514"},
		{`INSERT INTO t (id, p) VALUES ('b', 7)`, fault.Constraint, "SQLSTATE 23503"},
		{`INSERT INTO t (id, s) VALUES ('b', 'four')`, fault.Constraint, "SQLSTATE 22001"},
		{`INSERT INTO t (id, n) VALUES ('b', 40000)`, fault.Constraint, "SQLSTATE 22003"},
		{`INSERT INTO t (id, n) VALUES ('b', 'x')`, fault.Constraint, "SQLSTATE 22P02"},
		{`INSERT INTO t (id, d) VALUES ('b', 'x')`, fault.Constraint, "SQLSTATE 22007"},
		{`INSERT INTO t (id, d) VALUES ('b', '2000-02-31')`, fault.Constraint, "SQLSTATE 22008"},
		{"INSERT INTO t (id) VALUES ('\xff')", fault.Charset, "SQLSTATE 22021"},
		{`SELECT 1 FROM missing`, fault.NoTable, "SQLSTATE 42P01"},
		{`SELECT 1 FROM missing.t`, fault.NoTable, "SQLSTATE 42P01"},
		{`CREATE TABLE missing.t (id int)`, fault.NoTable, "SQLSTATE 3F000"},
		{`SELECT missing FROM t`, fault.NoColumn, "SQLSTATE 42703"},
		{`INSERT INTO t (id, missing) VALUES ('b', 1)`, fault.NoColumn, "SQLSTATE 42703"},
		{`UPDATE t SET missing = 1`, fault.NoColumn, "SQLSTATE 42703"},
		{`EXECUTE missing`, fault.StalePlan, "SQLSTATE 26000"},
		{`SELECT count(*) FROM t FOR UPDATE`, fault.Other, "SQLSTATE 0A000"}, // not the 0A000 of a stale plan
		{`SELECT 1 / 0`, fault.Other, "SQLSTATE 22012"},
		{`nonsense`, fault.Other, "SQLSTATE 42601"},
	},
	dbtest.MySQL: {
		{`INSERT INTO t (id) VALUES ('a')`, fault.Duplicate, "error 1062"},
		{`INSERT INTO t (id, u) VALUES ('b', 1)`, fault.Duplicate, "error 1062"},
		{`INSERT INTO t (id, s) VALUES ('b', NULL)`, fault.Constraint, "error 1048"},
		{`INSERT INTO t (id, n) VALUES ('b', 0)`, fault.Constraint, "error 4025"},
		{`INSERT INTO t (id, p) VALUES ('b', 7)`, fault.Constraint, "error 1452"},
		{`INSERT INTO t (id, s) VALUES ('b', 'four')`, fault.Constraint, "error 1406"},
		{`INSERT INTO t (id, n) VALUES ('b', 40000)`, fault.Constraint, "error 1264"},
		{`INSERT INTO t (id, d) VALUES ('b', 'x')`, fault.Constraint, "error 1292"},
		{`INSERT INTO nodefault (a) VALUES (1)`, fault.Constraint, "error 1364"},
		{`UPDATE t SET n = '1x'`, fault.Constraint, "error 1265"},
		{`INSERT INTO t (id, n) VALUES ('b', 'x')`, fault.Charset, "error 1366"}, // the one that only its text tells apart
		{`INSERT INTO t (id, l) VALUES ('b', '🔑')`, fault.Charset, "error 1366"},
		{"INSERT INTO t (id) VALUES ('\xff')", fault.Charset, "error 1366"},
		{`SELECT 1 FROM missing`, fault.NoTable, "error 1146"},
		{`SELECT 1 FROM missing.t`, fault.NoTable, "error 1146"},
		{`USE missing`, fault.NoTable, "error 1049"},
		{`SELECT missing FROM t`, fault.NoColumn, "error 1054"},
		{`INSERT INTO t (id, missing) VALUES ('b', 1)`, fault.NoColumn, "error 1054"},
		{`UPDATE t SET missing = 1`, fault.NoColumn, "error 1054"},
		{`nonsense`, fault.Other, "error 1064"},
	},
	dbtest.SQLite: {
		{`INSERT INTO t (id) VALUES ('a')`, fault.Duplicate, "SQLite code 1555"},
		{`INSERT INTO t (id, u) VALUES ('b', 1)`, fault.Duplicate, "SQLite code 2067"},
		{`INSERT INTO t (rowid, id) VALUES (1, 'b')`, fault.Duplicate, "SQLite code 2579"},
		{`INSERT INTO t (id, s) VALUES ('b', NULL)`, fault.Constraint, "SQLite code 1299"},
		{`INSERT INTO t (id, n) VALUES ('b', 0)`, fault.Constraint, "SQLite code 275"},
		{`INSERT INTO t (id, p) VALUES ('b', 7)`, fault.Constraint, "SQLite code 787"},
		{`INSERT INTO st (n) VALUES ('x')`, fault.Constraint, "SQLite code 3091"},
		{`INSERT INTO parent (id) VALUES ('x')`, fault.Constraint, "SQLite code 20"},
		{`SELECT length(zeroblob(2000000000))`, fault.Constraint, "SQLite code 18"},
		{`SELECT 1 FROM missing`, fault.NoTable, "SQLite code 1"},
		{`UPDATE missing SET a = 1`, fault.NoTable, "SQLite code 1"},
		{`SELECT 1 FROM missing.t`, fault.NoTable, "SQLite code 1"},
		{`CREATE TABLE missing.t (id int)`, fault.NoTable, "SQLite code 1"},
		{`SELECT missing FROM t`, fault.NoColumn, "SQLite code 1"},
		{`INSERT INTO t (id, missing) VALUES ('b', 1)`, fault.NoColumn, "SQLite code 1"},
		{`UPDATE t SET missing = 1`, fault.NoColumn, "SQLite code 1"},
		{`nonsense`, fault.Other, "SQLite code 1"},
	},
}

func TestRefusedStatements(t *testing.T) {
	t.Parallel()
	for _, kind := range dbtest.Kinds() {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			pool := open(t, kind.Dialect, settings(kind.New(t)))
			run(t, pool, tables[kind.Dialect]...)
			run(t, pool, `INSERT INTO t (id, u) VALUES ('a', 1)`)
			require.NotEmpty(t, refused[kind.Dialect])
			for _, r := range refused[kind.Dialect] {
				_, err := pool.ExecContext(deadline(t), r.statement)
				t.Log(err)
				requireFault(t, r.kind, code(r.code), err)
				rows, err := pool.QueryContext(deadline(t), r.statement)
				if err == nil { // SQLite finds out at the first row
					rows.Next()
					err = rows.Err()
					require.NoError(t, rows.Close())
				}
				requireFault(t, r.kind, code(r.code), err)
			}
		})
	}
}

// A database in an encoding that has less than UTF-8: PostgreSQL converts.
func TestLatin1Database(t *testing.T) {
	t.Parallel()
	for _, kind := range dbtest.Kinds(dbtest.Postgres) {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			db := kind.New(t)
			name := db.Name + "_latin1"
			admin := db.Admin(t)
			run(t, admin, `CREATE DATABASE `+name+` ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0`)
			t.Cleanup(func() { run(t, admin, `DROP DATABASE `+name) })
			s := settings(db)
			s.Database = name
			pool := open(t, kind.Dialect, s)
			t.Cleanup(func() { _ = pool.Close() }) // before the database is dropped
			run(t, pool, `CREATE TABLE t (s text)`, `INSERT INTO t VALUES ('é')`)
			_, err := pool.ExecContext(deadline(t), `INSERT INTO t VALUES ($1)`, "🔑")
			requireFault(t, fault.Charset, code("SQLSTATE 22P05"), err)
			var text string
			require.NoError(t, pool.QueryRowContext(deadline(t), `SELECT s FROM t`).Scan(&text))
			require.Equal(t, "é", text, "the connection speaks UTF-8 whatever the database does")
		})
	}
}

func TestStalePlan(t *testing.T) {
	t.Parallel()
	for _, kind := range dbtest.Kinds(dbtest.Postgres) {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			db := kind.New(t)
			pool := open(t, kind.Dialect, settings(db))
			run(t, pool, `CREATE TABLE t (id int)`)
			conn := connect(t, pool)
			const all = `SELECT * FROM t WHERE id = $1`
			_, err := conn.ExecContext(deadline(t), all, 1)
			require.NoError(t, err)
			run(t, db.Admin(t), `ALTER TABLE t ADD COLUMN more int`)
			_, err = conn.ExecContext(deadline(t), all, 1)
			requireFault(t, fault.StalePlan, code("SQLSTATE 0A000"), err)

			conn = connect(t, pool)
			_, err = conn.ExecContext(deadline(t), all, 1)
			require.NoError(t, err)
			run(t, conn, `DEALLOCATE ALL`) // as a pooler does when it changes the server connection
			_, err = conn.ExecContext(deadline(t), all, 1)
			requireFault(t, fault.StalePlan, code("SQLSTATE 26000"), err)
		})
	}
	for _, kind := range dbtest.Kinds(dbtest.MySQL) {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			db := kind.New(t)
			pool := open(t, kind.Dialect, settings(db))
			run(t, pool, `CREATE TABLE t (id int PRIMARY KEY)`)
			conn := connect(t, pool)
			run(t, conn, `START TRANSACTION WITH CONSISTENT SNAPSHOT`)
			run(t, db.Admin(t), `ALTER TABLE t ADD COLUMN more int, ALGORITHM=COPY`)
			_, err := conn.ExecContext(deadline(t), `SELECT * FROM t`)
			requireFault(t, fault.StalePlan, code("error 1412"), err)

			stmt, err := connect(t, pool).PrepareContext(deadline(t), `SELECT ?`)
			require.NoError(t, err)
			require.NoError(t, stmt.Close())
			_, err = pool.ExecContext(deadline(t), `EXECUTE missing`)
			requireFault(t, fault.StalePlan, code("error 1243"), err)
		})
	}
}

func TestReadOnly(t *testing.T) {
	t.Parallel()
	session := map[string]struct{ set, code string }{
		dbtest.Postgres: {`SET default_transaction_read_only = on`, "SQLSTATE 25006"},
		dbtest.MySQL:    {`SET SESSION tx_read_only = 1`, "error 1792"},
		dbtest.SQLite:   {`PRAGMA query_only = 1`, "SQLite code 8"},
	}
	for _, kind := range dbtest.Kinds() {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			pool := open(t, kind.Dialect, settings(kind.New(t)))
			run(t, pool, `CREATE TABLE t (id int)`)
			conn := connect(t, pool)
			run(t, conn, session[kind.Dialect].set)
			_, err := conn.ExecContext(deadline(t), `INSERT INTO t VALUES (1)`)
			requireFault(t, fault.ReadOnly, code(session[kind.Dialect].code), err)
		})
	}
}

// A context that ended is no fault of the database's, however the driver says it.
func TestContextEnded(t *testing.T) {
	t.Parallel()
	slow := map[string]string{
		dbtest.Postgres: `SELECT pg_sleep(60)`,
		dbtest.MySQL:    `SELECT SLEEP(60)`,
		dbtest.SQLite:   `WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c`,
	}
	for _, kind := range dbtest.Kinds() {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			pool := open(t, kind.Dialect, settings(kind.New(t)))
			for name, end := range map[string]func(context.Context) (context.Context, context.CancelFunc){
				"cancelled": func(ctx context.Context) (context.Context, context.CancelFunc) {
					ctx, cancel := context.WithCancel(ctx)
					context.AfterFunc(time5ms(t), cancel)
					return ctx, cancel
				},
				"deadline": func(ctx context.Context) (context.Context, context.CancelFunc) {
					return context.WithTimeout(ctx, 5*time.Millisecond)
				},
			} {
				require.NoError(t, pool.PingContext(deadline(t)))
				ctx, cancel := end(context.Background())
				_, err := pool.ExecContext(ctx, slow[kind.Dialect])
				cancel()
				require.Error(t, err, name)
				require.Equal(t, fault.Other, fault.Of(err), "%s: %v (%T)", name, err, err)
				require.ErrorIs(t, err, ctx.Err(), name)
			}
		})
	}
}

package migrator

import (
	"context"
	"regexp"
	"strings"
	"testing"

	"entgo.io/ent/dialect"
	"github.com/stretchr/testify/require"

	entmigrate "github.com/entsession/entsession/ent/migrate"
	"github.com/entsession/entsession/internal/dbtest"
	"github.com/entsession/entsession/migrations"
)

func TestRewrite(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ dialect, schema, table, in, out string }{
		{dialect.Postgres, "", "", `CREATE TABLE "sessions" ("id" text)`, `CREATE TABLE "sessions" ("id" text)`},
		{dialect.Postgres, "", "web", `CREATE TABLE "sessions" ("id" text DEFAULT 'the "sessions"')`, `CREATE TABLE "web" ("id" text DEFAULT 'the "sessions"')`},
		{dialect.Postgres, "s", "", `CREATE INDEX "session_a" ON "sessions" ("a")`, `CREATE INDEX "session_a" ON "s"."sessions" ("a")`},
		{dialect.Postgres, "s", "web", `CREATE INDEX "session_a" ON "sessions" ("a")`, `CREATE INDEX "web_session_a" ON "s"."web" ("a")`},
		{dialect.Postgres, "s", "web", `DROP INDEX "session_a"`, `DROP INDEX "s"."web_session_a"`},
		{dialect.Postgres, "s", "web", `ALTER INDEX "session_a" RENAME TO "session_b"`, `ALTER INDEX "s"."web_session_a" RENAME TO "web_session_b"`},
		{dialect.Postgres, "s", `a"b`, `ALTER TABLE "sessions" /* "sessions" */ DROP COLUMN "a" -- 'x`, `ALTER TABLE "s"."a""b" /* "sessions" */ DROP COLUMN "a" -- 'x`},
		{dialect.Postgres, "", "web", `CREATE TABLE "sessions_x" ("sessions'" text)`, `CREATE TABLE "sessions_x" ("sessions'" text)`},
		{dialect.MySQL, "s", "we`b", "CREATE TABLE `sessions` (`a` text COMMENT 'it\\'s `sessions`', INDEX `session_a` (`a`))", "CREATE TABLE `s`.`we``b` (`a` text COMMENT 'it\\'s `sessions`', INDEX `session_a` (`a`))"},
		{dialect.MySQL, "s", "web", "DROP INDEX `session_a` ON `sessions`", "DROP INDEX `session_a` ON `s`.`web`"},
		{dialect.MySQL, "s", "web", "RENAME TABLE `new_sessions` TO `sessions`", "RENAME TABLE `s`.`new_web` TO `s`.`web`"},
		{dialect.SQLite, "s", "web", "CREATE INDEX `session_a` ON `sessions` (`a`)", "CREATE INDEX `s`.`web_session_a` ON `web` (`a`)"},
		{dialect.SQLite, "s", "web", "DROP INDEX `session_a`", "DROP INDEX `s`.`web_session_a`"},
		{dialect.SQLite, "s", "web", "ALTER TABLE `new_sessions` RENAME TO `sessions`", "ALTER TABLE `s`.`new_web` RENAME TO `web`"},
		{dialect.SQLite, "", "web", "INSERT INTO `new_sessions` (`id`) SELECT `id` FROM `sessions`", "INSERT INTO `new_web` (`id`) SELECT `id` FROM `web`"},
	} {
		n, err := newNames(c.dialect, c.schema, c.table)
		require.NoError(t, err)
		require.Equal(t, c.out, n.rewrite(c.in))
	}
}

// Each quoted name in the files is one that rewrite knows, or a column.
func TestNamesInTheFiles(t *testing.T) {
	t.Parallel()
	known := map[string]bool{fileTable: true, fileNewTable: true}
	for _, table := range entmigrate.Tables {
		for _, c := range table.Columns {
			require.False(t, strings.HasPrefix(c.Name, fileIndexPrefix), "a column that looks like an index: %s", c.Name)
			known[c.Name] = true
		}
	}
	for d, quoted := range map[string]string{dialect.Postgres: `"([^"]+)"`, dialect.MySQL: "`([^`]+)`", dialect.SQLite: "`([^`]+)`"} {
		dir, err := migrations.Dir(d)
		require.NoError(t, err)
		files, err := readFiles(d, dir)
		require.NoError(t, err)
		for _, f := range files {
			for _, stmt := range f.stmts {
				for _, name := range regexp.MustCompile(quoted).FindAllStringSubmatch(stmt, -1) {
					if name[1] != "C" { // the collation
						require.True(t, known[name[1]] || strings.HasPrefix(name[1], fileIndexPrefix), "%s/%s: %s", d, f.name, name[1])
					}
				}
			}
		}
	}
}

func TestShorten(t *testing.T) {
	t.Parallel()
	require.Equal(t, strings.Repeat("x", 63), shorten(strings.Repeat("x", 63)))
	long := strings.Repeat("ä", 40)
	a, b := shorten(long+"a"), shorten(long+"b")
	require.NotEqual(t, a, b)
	for _, s := range []string{a, b, shorten("x" + long)} {
		require.LessOrEqual(t, len(s), 63)
		require.True(t, strings.HasPrefix(strings.TrimPrefix(s, "x"), "ää"))
		require.NoError(t, checkName(s))
	}
}

// Tables of all sorts of names live in one schema, each with indexes and a history of its own.
func TestManyTables(t *testing.T) {
	t.Parallel()
	tables := []string{
		"sessions", "session", "Web Sessions", `qu"ote`, "back`tick", "dot.ted", "größe_表", "x'); DROP TABLE sessions; --", "new_sessions",
		strings.Repeat("a", 62) + "1", strings.Repeat("a", 62) + "2", strings.Repeat("ä", 31),
	}
	onEach(t, func(t *testing.T, kind dbtest.Kind) {
		ctx := context.Background()
		db := kind.New(t)
		drv, admin := driver(t, db), db.Admin(t)
		histories := map[string]bool{}
		for i, table := range tables {
			target := Target{Driver: drv, Table: table}
			applied, err := Apply(ctx, target)
			require.NoError(t, err, table)
			require.NotEmpty(t, applied, table)
			applied, err = Apply(ctx, target)
			require.NoError(t, err, table)
			require.Empty(t, applied, table)

			n, err := newNames(kind.Dialect, "", table)
			require.NoError(t, err)
			run(t, admin, "INSERT INTO "+n.quote(table)+" (id, data) VALUES ('a', 'b')")
			require.Equal(t, [][]string{{"1"}}, rows(t, admin, "SELECT count(*) FROM "+n.quote(table)), table)
			require.False(t, histories[n.ownHistory()], table)
			histories[n.ownHistory()] = true
			m, err := open(ctx, target)
			require.NoError(t, err)
			for _, index := range []string{"session_application_timeout", "session_subject"} {
				found, err := m.hasIndex(ctx, drv, n.index(index))
				require.NoError(t, err)
				require.True(t, found, "%d %s", i, table)
			}
		}
	})
}

func TestSchema(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, kind dbtest.Kind) {
		ctx := context.Background()
		db := kind.New(t)
		pool := db.Admin(t)
		pool.SetMaxOpenConns(1)
		schema := "Other \"schema`" + strings.ReplaceAll(db.Name, "/", "")
		schema = schema[:min(len(schema), 60)]
		n := names{dialect: kind.Dialect}
		switch kind.Dialect {
		case dialect.SQLite:
			run(t, pool, "ATTACH ':memory:' AS "+n.quote(schema))
		case dialect.Postgres:
			run(t, pool, "CREATE SCHEMA "+n.quote(schema))
		case dialect.MySQL:
			run(t, pool, "CREATE DATABASE "+n.quote(schema))
			t.Cleanup(func() { run(t, db.Admin(t), "DROP DATABASE "+n.quote(schema)) })
		}
		for _, target := range []Target{{}, {Schema: schema}, {Schema: schema, Table: "web"}} {
			target.Driver = openDriver(kind.Dialect, pool)
			applied, err := Apply(ctx, target)
			require.NoError(t, err)
			require.NotEmpty(t, applied)
			applied, err = Apply(ctx, target)
			require.NoError(t, err)
			require.Empty(t, applied)
			n, err := newNames(kind.Dialect, target.Schema, target.Table)
			require.NoError(t, err)
			run(t, pool, "INSERT INTO "+n.qualify(n.table)+" (id, data) VALUES ('a', 'b')")
			history := sharedHistory
			if target.Table != "" {
				history = n.ownHistory()
			}
			require.Len(t, rows(t, pool, "SELECT version FROM "+n.qualify(history)), len(applied)+1)
		}

		// A historic table there is adopted there.
		target := Target{Driver: openDriver(kind.Dialect, pool), Schema: schema, Table: "old"}
		n, err := newNames(kind.Dialect, schema, "old")
		require.NoError(t, err)
		run(t, pool, "CREATE TABLE "+n.qualify("old")+" (id char(72) PRIMARY KEY, data text, timeout integer)")
		_, err = Apply(ctx, target)
		var exists *ExistsError
		require.ErrorAs(t, err, &exists)
		require.Equal(t, schema+".old", exists.Table)
		run(t, pool, exists.Plan...)
		applied, err := Apply(ctx, target)
		require.NoError(t, err)
		require.Empty(t, applied)
		run(t, pool, "INSERT INTO "+n.qualify("old")+" (id, data, timeout, application, subject) VALUES ('a', 'b', 1, '', '')")
	})
}

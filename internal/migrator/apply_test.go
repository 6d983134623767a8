package migrator

import (
	"context"
	"database/sql"
	"strings"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/internal/dbtest"
)

func TestApply(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, kind dbtest.Kind) {
		ctx := context.Background()
		db := kind.New(t)
		admin := db.Admin(t)
		var progress []int
		target := Target{Driver: driver(t, db), Operator: "entsession v0", Progress: func(version string, stmt, total int) {
			require.NotEmpty(t, version)
			require.LessOrEqual(t, stmt, total)
			progress = append(progress, stmt)
		}}

		files, err := Status(ctx, target)
		require.NoError(t, err)
		require.NotEmpty(t, files)
		for _, f := range files {
			require.Equal(t, Pending, f.State)
			require.Zero(t, f.AppliedAt)
			require.Zero(t, f.Done)
		}

		applied, err := Apply(ctx, target)
		require.NoError(t, err)
		require.Len(t, applied, len(files))
		statements := 0
		for i, f := range files {
			require.Equal(t, f.Version, applied[i])
			statements += f.Statements
		}
		require.Len(t, progress, statements)

		applied, err = Apply(ctx, target)
		require.NoError(t, err)
		require.Empty(t, applied, "nothing is pending")

		files, err = Status(ctx, target)
		require.NoError(t, err)
		for _, f := range files {
			require.Equal(t, Applied, f.State)
			require.WithinDuration(t, time.Now(), f.AppliedAt, time.Minute)
			require.Equal(t, f.Statements, f.Done)
		}
		recorded := rows(t, admin, "SELECT version, type, applied, total, error, error_stmt, partial_hashes, hash, operator_version "+
			"FROM atlas_schema_revisions ORDER BY version")
		require.Len(t, recorded, len(files))
		for i, f := range files {
			n := recorded[i][3]
			require.Equal(t, []string{f.Version, "2", n, n, "", "", "null", f.Hash, "entsession v0"}, recorded[i])
		}

		useTable(t, admin, kind)
	})
}

// useTable shows that the table keeps what the design says, from plain SQL.
func useTable(t *testing.T, admin *sql.DB, kind dbtest.Kind) {
	t.Helper()
	require.Equal(t, []string{"id", "data", "timeout", "version", "created", "application", "subject"}, columnNames(t, admin, "sessions"))
	run(t, admin,
		"INSERT INTO sessions (id, data) VALUES ('abc', 'lower')",
		"INSERT INTO sessions (id, data, timeout, version, subject) VALUES ('ABC', NULL, 9223372036854775807, -9223372036854775808, '𝄞')",
	)
	now := map[string]string{
		dialect.Postgres: "floor(extract(epoch from now()))",
		dialect.MySQL:    "unix_timestamp()",
		dialect.SQLite:   "unixepoch()",
	}[kind.Dialect]
	require.Equal(t, [][]string{{"lower", "0", "", "NULL"}},
		rows(t, admin, "SELECT data, version, application, subject FROM sessions WHERE id = 'abc'"),
		"ids differ in case")
	require.Equal(t, [][]string{{"1"}}, rows(t, admin, "SELECT count(*) FROM sessions WHERE id = 'abc' "+
		"AND timeout BETWEEN "+now+" - 60 AND "+now+" AND created BETWEEN "+now+" - 60 AND "+now))
	require.Equal(t, [][]string{{"9223372036854775807", "-9223372036854775808", "𝄞"}},
		rows(t, admin, "SELECT timeout, version, subject FROM sessions WHERE id = 'ABC'"))
}

func TestColumnsOfTheDesign(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, kind dbtest.Kind) {
		db := kind.New(t)
		_, err := Apply(context.Background(), Target{Driver: driver(t, db)})
		require.NoError(t, err)
		admin := db.Admin(t)
		switch kind.Dialect {
		case dialect.Postgres:
			require.Equal(t, [][]string{
				{"id", "character(72)", "C", "t"},
				{"data", "text", "default", "f"},
				{"timeout", "bigint", "NULL", "t"},
				{"version", "bigint", "NULL", "t"},
				{"created", "bigint", "NULL", "t"},
				{"application", "character varying(255)", "default", "t"},
				{"subject", "character varying(255)", "default", "f"},
			}, rows(t, admin, `SELECT attname, format_type(atttypid, atttypmod), collname, CASE WHEN attnotnull THEN 't' ELSE 'f' END
				FROM pg_attribute a LEFT JOIN pg_collation c ON c.oid = a.attcollation
				WHERE attrelid = 'sessions'::regclass AND attnum > 0 ORDER BY attnum`))
			require.Equal(t, [][]string{{"session_application_timeout"}, {"session_subject"}, {"sessions_pkey"}},
				rows(t, admin, `SELECT indexname FROM pg_indexes WHERE tablename = 'sessions' ORDER BY indexname::text COLLATE "C"`))
		case dialect.MySQL:
			require.Equal(t, [][]string{
				{"id", "char(72)", "utf8mb4_bin", "NO"},
				{"data", "longtext", "utf8mb4_bin", "YES"},
				{"timeout", "bigint", "NULL", "NO"},
				{"version", "bigint", "NULL", "NO"},
				{"created", "bigint", "NULL", "NO"},
				{"application", "varchar(255)", "utf8mb4_bin", "NO"},
				{"subject", "varchar(255)", "utf8mb4_bin", "YES"},
			}, rows(t, admin, `SELECT column_name, replace(column_type, '(20)', ''), collation_name, is_nullable
				FROM information_schema.columns WHERE table_schema = database() AND table_name = 'sessions' ORDER BY ordinal_position`))
			require.Equal(t, [][]string{{"PRIMARY"}, {"session_application_timeout"}, {"session_subject"}},
				rows(t, admin, `SELECT DISTINCT index_name FROM information_schema.statistics
				WHERE table_schema = database() AND table_name = 'sessions' ORDER BY index_name`))
		case dialect.SQLite:
			require.Equal(t, [][]string{
				{"id", "char", "1"}, {"data", "TEXT", "0"}, {"timeout", "INTEGER", "1"}, {"version", "INTEGER", "1"},
				{"created", "INTEGER", "1"}, {"application", "TEXT", "1"}, {"subject", "TEXT", "0"},
			}, rows(t, admin, `SELECT name, type, "notnull" FROM pragma_table_info('sessions')`))
		}
	})
}

// A failing statement leaves nothing behind where the database can roll back, and elsewhere what Apply needs to go on.
func TestStatementThatFails(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, kind dbtest.Kind) {
		ctx := context.Background()
		db := kind.New(t)
		drv, admin := driver(t, db), db.Admin(t)
		broken, fixed := three(kind.Dialect), three(kind.Dialect)
		broken["2_add.sql"] = strings.Replace(broken["2_add.sql"], "b", "nosuchtype(", 1)
		broken["2_add.sql"] = strings.Replace(fixed["2_add.sql"], "bigint;\nALTER", "bigint;\nALTERED", 1)

		applied, err := Apply(ctx, Target{Driver: drv, files: directory(t, broken)})
		require.ErrorContains(t, err, "2_add.sql, statement 2 of 3")
		require.ErrorContains(t, err, "ALTERED", "the statement is named")
		require.Equal(t, []string{"1"}, applied, "what was applied is told all the same")

		files, err := Status(ctx, Target{Driver: drv, files: directory(t, broken)})
		require.NoError(t, err)
		if kind.Dialect == dialect.MySQL {
			require.Equal(t, Partial, files[1].State)
			require.Equal(t, 1, files[1].Done)
			require.Contains(t, files[1].Failure, "ALTERED")
			require.Contains(t, columnNames(t, admin, "sessions"), "a")
		} else {
			require.Equal(t, Pending, files[1].State)
			require.NotContains(t, columnNames(t, admin, "sessions"), "a")
		}
		require.Equal(t, Pending, files[2].State)

		// The part that was not applied yet may be corrected.
		target := Target{Driver: drv, files: directory(t, fixed)}
		applied, err = Apply(ctx, target)
		require.NoError(t, err)
		require.Equal(t, []string{"2", "3"}, applied)
		files, err = Status(ctx, target)
		require.NoError(t, err)
		for _, f := range files {
			require.Equal(t, Applied, f.State)
			require.Empty(t, f.Failure)
		}
	})
}

func TestSettingsOfTheConnection(t *testing.T) {
	t.Parallel()
	settings := map[string][]string{
		dialect.Postgres: {"SET default_transaction_isolation = 'serializable'", "SET default_transaction_isolation = 'repeatable read'"},
		dialect.MySQL:    {"SET autocommit = 0", "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE", "SET time_zone = '+11:00'"},
		dialect.SQLite:   {"PRAGMA journal_mode = WAL", "PRAGMA foreign_keys = 1"},
	}
	onEach(t, func(t *testing.T, kind dbtest.Kind) {
		for _, setting := range settings[kind.Dialect] {
			db := kind.New(t)
			pool := db.Admin(t)
			pool.SetMaxOpenConns(1)
			run(t, pool, setting)
			target := Target{Driver: openDriver(kind.Dialect, pool), files: directory(t, three(kind.Dialect))}
			applied, err := Apply(context.Background(), target)
			require.NoError(t, err, setting)
			require.Equal(t, []string{"1", "2", "3"}, applied, setting)
			// Another connection sees it.
			files, err := Status(context.Background(), Target{Driver: driver(t, db), files: target.files})
			require.NoError(t, err)
			for _, f := range files {
				require.Equal(t, Applied, f.State, setting)
				require.WithinDuration(t, time.Now(), f.AppliedAt, time.Minute, setting)
			}
		}
	})
}

func TestTargetsThatCanNotBe(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	_, err := Apply(ctx, Target{})
	require.ErrorContains(t, err, "no driver")
	onEach(t, func(t *testing.T, kind dbtest.Kind) {
		drv := driver(t, kind.New(t))
		for name, target := range map[string]Target{
			"64 bytes":           {Table: strings.Repeat("x", 64)},
			"UTF-8":              {Table: "a\xff"},
			"NUL":                {Table: "a\x00b"},
			"atlas command":      {Table: "atlas_schema_revisions"},
			"schema \"x\xff\"":   {Schema: "x\xff"},
			"nowhere":            {Schema: "nowhere"},
			"schema \"nowhere\"": {Schema: "nowhere", Table: "t"},
		} {
			target.Driver = drv
			if kind.Dialect == dialect.SQLite && strings.HasPrefix(name, "schema \"nowhere") {
				name = "attached as \"nowhere\""
			}
			_, err := Apply(ctx, target)
			if strings.HasPrefix(name, "schema \"x") {
				require.ErrorContains(t, err, "UTF-8")
				continue
			}
			require.ErrorContains(t, err, name)
			_, err = Status(ctx, target)
			require.ErrorContains(t, err, name)
			_, err = Adopt(ctx, target)
			require.ErrorContains(t, err, name)
		}
	})
}

package migrator

import (
	"context"
	"database/sql"
	"fmt"
	"testing"

	"entgo.io/ent/dialect"
	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/internal/dbtest"
)

// A table of the historic form, with a column that the user added and a row, is refused with a plan that adopts it.
func TestHistoricTable(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, kind dbtest.Kind) {
		ctx := context.Background()
		for _, table := range []string{"sessions", "web_sessions"} {
			db := kind.New(t)
			drv, admin := driver(t, db), db.Admin(t)
			target := Target{Driver: drv, Table: table, Operator: `it's a \test`}
			run(t, admin,
				"CREATE TABLE "+table+" (id char(72) PRIMARY KEY, data text, timeout integer, note varchar(20) DEFAULT 'mine')",
				"INSERT INTO "+table+" (id, data, timeout) VALUES ('old', 'kept', 2000000000)")

			applied, err := Apply(ctx, target)
			require.Empty(t, applied)
			var exists *ExistsError
			require.ErrorAs(t, err, &exists)
			require.Equal(t, table, exists.Table)
			require.Equal(t, []string{"id", "data", "timeout", "note"}, exists.Columns)
			require.Equal(t, []string{"version", "created", "application", "subject"}, exists.Missing)
			require.ErrorContains(t, err, `table "`+table+`" exists already`)
			require.ErrorContains(t, err, "It has no column version, created, application, subject")
			for _, stmt := range exists.Plan {
				require.ErrorContains(t, err, stmt+";")
			}
			require.Equal(t, []string{"id", "data", "timeout", "note"}, columnNames(t, admin, table), "nothing was changed")
			files, err := Status(ctx, target)
			require.NoError(t, err)
			require.Equal(t, Pending, files[0].State)

			plan, err := Adopt(ctx, target)
			require.NoError(t, err)
			require.Len(t, plan, len(exists.Plan))
			run(t, admin, plan...)
			applied, err = Apply(ctx, target)
			require.NoError(t, err)
			require.Len(t, applied, len(files)-1)
			files, err = Status(ctx, target)
			require.NoError(t, err)
			require.Equal(t, Applied, files[0].State)
			require.Equal(t, files[0].Statements, files[0].Done)
			plan, err = Adopt(ctx, target)
			require.NoError(t, err)
			require.Empty(t, plan)

			require.Equal(t, []string{"id", "data", "timeout", "note", "version", "created", "application", "subject"},
				columnNames(t, admin, table))
			require.Equal(t, [][]string{{"kept", "2000000000", "mine", "0", "", "NULL"}},
				rows(t, admin, "SELECT data, timeout, note, version, application, subject FROM "+table))
			require.Equal(t, [][]string{{"1"}}, rows(t, admin, fmt.Sprintf("SELECT count(*) FROM %s WHERE created > 1700000000", table)))
			requireSameIndexes(t, db, admin, table)
		}
	})
}

// requireSameIndexes compares with a table that the migrations made.
func requireSameIndexes(t *testing.T, db *dbtest.DB, admin *sql.DB, table string) {
	t.Helper()
	_, err := Apply(context.Background(), Target{Driver: driver(t, db), Table: "made"})
	require.NoError(t, err)
	query := map[string]string{
		dialect.Postgres: `SELECT (SELECT string_agg(attname, ',' ORDER BY attnum) FROM pg_attribute WHERE attrelid = indexrelid) FROM pg_index
			WHERE indrelid = '%s'::regclass ORDER BY 1`,
		dialect.MySQL: `SELECT group_concat(column_name ORDER BY seq_in_index) FROM information_schema.statistics
			WHERE table_schema = database() AND table_name = '%s' GROUP BY index_name ORDER BY 1`,
		dialect.SQLite: `SELECT (SELECT group_concat(c.name) FROM pragma_index_info(i.name) c) FROM pragma_index_list('%s') i ORDER BY 1`,
	}[db.Kind.Dialect]
	require.Equal(t, rows(t, admin, fmt.Sprintf(query, "made")), rows(t, admin, fmt.Sprintf(query, table)))
	require.Equal(t, [][]string{{"application,timeout"}, {"id"}, {"subject"}}, rows(t, admin, fmt.Sprintf(query, table)))
}

// A table with all columns and no history, such as one that ent's own migration made, only needs its record.
func TestWholeTableWithoutHistory(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, kind dbtest.Kind) {
		ctx := context.Background()
		db := kind.New(t)
		target := Target{Driver: driver(t, db)}
		_, err := Apply(ctx, target)
		require.NoError(t, err)
		run(t, db.Admin(t), "DROP TABLE atlas_schema_revisions")

		_, err = Apply(ctx, target)
		var exists *ExistsError
		require.ErrorAs(t, err, &exists)
		require.Empty(t, exists.Missing)
		require.Len(t, exists.Plan, 2, "the history and the record in it")
		run(t, db.Admin(t), exists.Plan...)
		applied, err := Apply(ctx, target)
		require.NoError(t, err)
		require.Empty(t, applied)
	})
}

func TestTableOfSomeoneElse(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, kind dbtest.Kind) {
		ctx := context.Background()
		db := kind.New(t)
		target := Target{Driver: driver(t, db)}
		_, err := Adopt(ctx, target)
		require.ErrorContains(t, err, "does not exist")

		run(t, db.Admin(t), "CREATE TABLE sessions (id bigint, speaker varchar(20), data text)")
		for _, call := range []func() error{
			func() error { _, err := Apply(ctx, target); return err },
			func() error { _, err := Adopt(ctx, target); return err },
		} {
			var exists *ExistsError
			require.ErrorAs(t, call(), &exists)
			require.Equal(t, []string{"timeout"}, exists.Missing)
			require.Empty(t, exists.Plan)
			require.ErrorContains(t, call(), "Choose another table")
		}
	})
}

// A table that someone made after our first attempt had failed is not taken for ours.
func TestForeignTableAfterAFailedAttempt(t *testing.T) {
	t.Parallel()
	for _, kind := range dbtest.Kinds(dialect.MySQL) {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			db := kind.New(t)
			drv := driver(t, db)
			failed := fmt.Errorf("failed")
			_, err := Apply(context.Background(), Target{Driver: &hooked{drv, func(_ context.Context, query string) error {
				if len(query) > 23 && query[:23] == "CREATE TABLE `sessions`" {
					return failed
				}
				return nil
			}}})
			require.ErrorIs(t, err, failed)
			run(t, db.Admin(t), "CREATE TABLE sessions (id char(72) PRIMARY KEY, data text, timeout integer)")
			_, err = Apply(context.Background(), Target{Driver: drv})
			var exists *ExistsError
			require.ErrorAs(t, err, &exists)
			run(t, db.Admin(t), exists.Plan...)
			_, err = Apply(context.Background(), Target{Driver: drv})
			require.NoError(t, err)
		})
	}
}

package migrator

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"ariga.io/atlas/sql/migrate"
	"ariga.io/atlas/sql/sqlite"
	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	_ "modernc.org/sqlite"

	"github.com/entsession/entsession/internal/dbtest"
	_ "github.com/entsession/entsession/mysql"
)

func TestMain(m *testing.M) {
	if os.Getenv(childDialect) != "" {
		os.Exit(child())
	}
	goleak.VerifyTestMain(dbtest.Runner(m))
}

// onEach runs a test on every database.
func onEach(t *testing.T, test func(t *testing.T, kind dbtest.Kind)) {
	for _, kind := range dbtest.Kinds() {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			test(t, kind)
		})
	}
}

// driver opens the database with a pool of one connection: more must not be needed.
func driver(t testing.TB, db *dbtest.DB) dialect.Driver {
	t.Helper()
	pool := db.Admin(t)
	pool.SetMaxOpenConns(1)
	return entsql.OpenDB(db.Kind.Dialect, pool)
}

// directory makes a migration directory with its atlas.sum.
func directory(t testing.TB, files map[string]string) fs.FS {
	t.Helper()
	path := t.TempDir()
	dir, err := migrate.NewLocalDir(path)
	require.NoError(t, err)
	for name, text := range files {
		require.NoError(t, dir.WriteFile(name, []byte(text)))
	}
	sum, err := dir.Checksum()
	require.NoError(t, err)
	require.NoError(t, migrate.WriteSumFile(dir, sum))
	return os.DirFS(path)
}

// three are files with six statements, in SQL that every database understands.
func three(d string) map[string]string {
	files := map[string]string{
		"1_create.sql": "CREATE TABLE \"sessions\" (\"id\" char(72) NOT NULL, \"data\" varchar(100), \"timeout\" bigint, PRIMARY KEY (\"id\"));\n" +
			"CREATE INDEX \"session_timeout\" ON \"sessions\" (\"timeout\");\n",
		"2_add.sql": "ALTER TABLE \"sessions\" ADD COLUMN \"a\" bigint;\nALTER TABLE \"sessions\" ADD COLUMN \"b\" bigint;\n" +
			"ALTER TABLE \"sessions\" ADD COLUMN \"c\" bigint;\n",
		"3_index.sql": "CREATE INDEX \"session_a\" ON \"sessions\" (\"a\");\n",
	}
	if d != dialect.Postgres {
		for name, text := range files {
			files[name] = strings.ReplaceAll(text, `"`, "`")
		}
	}
	return files
}

func run(t testing.TB, db *sql.DB, stmts ...string) {
	t.Helper()
	for _, stmt := range stmts {
		_, err := db.ExecContext(context.Background(), stmt)
		require.NoError(t, err, stmt)
	}
}

// rows reads everything a query returns, as text.
func rows(t testing.TB, db *sql.DB, query string) (out [][]string) {
	t.Helper()
	found, err := db.QueryContext(context.Background(), query)
	require.NoError(t, err, query)
	defer found.Close()
	columns, err := found.Columns()
	require.NoError(t, err)
	for found.Next() {
		values, targets := make([]sql.NullString, len(columns)), make([]any, len(columns))
		for i := range values {
			targets[i] = &values[i]
		}
		require.NoError(t, found.Scan(targets...))
		row := make([]string, len(columns))
		for i, v := range values {
			row[i] = v.String
			if !v.Valid {
				row[i] = "NULL"
			}
		}
		out = append(out, row)
	}
	require.NoError(t, found.Err())
	return out
}

var asked atomic.Int64

func columnNames(t testing.TB, db *sql.DB, table string) []string {
	t.Helper()
	// pgx would keep a prepared statement whose columns have changed since: each time it is another one.
	found, err := db.QueryContext(context.Background(), fmt.Sprintf("SELECT * FROM %s WHERE 1 = 0 /* %d */", table, asked.Add(1)))
	require.NoError(t, err)
	defer found.Close()
	columns, err := found.Columns()
	require.NoError(t, err)
	return columns
}

// hooked calls before each statement, with its text; an error takes the statement's place.
type hooked struct {
	dialect.Driver
	before func(ctx context.Context, query string) error
}

func (d *hooked) Exec(ctx context.Context, query string, args, v any) error {
	if err := d.before(ctx, query); err != nil {
		return err
	}
	return d.Driver.Exec(ctx, query, args, v)
}

func (d *hooked) Query(ctx context.Context, query string, args, v any) error {
	if err := d.before(ctx, query); err != nil {
		return err
	}
	return d.Driver.Query(ctx, query, args, v)
}

func (d *hooked) Tx(ctx context.Context) (dialect.Tx, error) {
	tx, err := d.Driver.Tx(ctx)
	if err != nil {
		return nil, err
	}
	return &hookedTx{tx, d.before}, nil
}

type hookedTx struct {
	dialect.Tx
	before func(ctx context.Context, query string) error
}

func (t *hookedTx) Exec(ctx context.Context, query string, args, v any) error {
	if err := t.before(ctx, query); err != nil {
		return err
	}
	return t.Tx.Exec(ctx, query, args, v)
}

func (t *hookedTx) Query(ctx context.Context, query string, args, v any) error {
	if err := t.before(ctx, query); err != nil {
		return err
	}
	return t.Tx.Query(ctx, query, args, v)
}

func openDriver(d string, pool *sql.DB) dialect.Driver { return entsql.OpenDB(d, pool) }

func sqliteOpen(pool *sql.DB) (migrate.Driver, error) { return sqlite.Open(pool) }

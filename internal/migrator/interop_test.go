package migrator

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"ariga.io/atlas/sql/migrate"
	atlas "ariga.io/atlas/sql/schema"
	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql/schema"
	"entgo.io/ent/schema/field"
	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/internal/dbtest"
)

// The atlas command is Atlas's executor on a history that ent reads and writes. Here is the same executor, on the same table.

// atlasHistory is the history of the atlas command, with the columns that the command's own ent schema has.
var atlasHistory = func() *schema.Table {
	columns := []*schema.Column{
		{Name: "version", Type: field.TypeString},
		{Name: "description", Type: field.TypeString},
		{Name: "type", Type: field.TypeUint, Default: 2},
		{Name: "applied", Type: field.TypeInt, Default: 0},
		{Name: "total", Type: field.TypeInt, Default: 0},
		{Name: "executed_at", Type: field.TypeTime},
		{Name: "execution_time", Type: field.TypeInt64},
		{Name: "error", Type: field.TypeString, Nullable: true, Size: 2147483647},
		{Name: "error_stmt", Type: field.TypeString, Nullable: true, Size: 2147483647},
		{Name: "hash", Type: field.TypeString},
		{Name: "partial_hashes", Type: field.TypeJSON, Nullable: true},
		{Name: "operator_version", Type: field.TypeString},
	}
	return &schema.Table{Name: sharedHistory, Columns: columns, PrimaryKey: columns[:1]}
}()

// atlasCommand is what `atlas migrate apply` does: it makes or alters its history, and applies what it takes for pending.
type atlasCommand struct {
	t       *testing.T
	dialect string
	pool    *sql.DB
	altered []string // what it had to change about the history
}

func newAtlasCommand(t *testing.T, db *dbtest.DB) *atlasCommand {
	c := &atlasCommand{t: t, dialect: db.Kind.Dialect, pool: db.Admin(t)}
	if c.dialect == dialect.SQLite {
		c.pool.SetMaxOpenConns(1)
		run(t, c.pool, "PRAGMA foreign_keys = 1")
	}
	hook := func(next schema.Differ) schema.Differ {
		return schema.DiffFunc(func(current, desired *atlas.Schema) ([]atlas.Change, error) {
			changes, err := next.Diff(current, desired)
			var own []atlas.Change
			for _, change := range changes {
				switch change := change.(type) {
				case *atlas.AddTable:
					own = append(own, change)
				case *atlas.ModifyTable:
					own = append(own, change)
					c.altered = append(c.altered, fmt.Sprintf("%+v", change.Changes))
				}
			}
			return own, err
		})
	}
	m, err := schema.NewMigrate(openDriver(c.dialect, c.pool), schema.WithDropColumn(true), schema.WithDiffHook(hook))
	require.NoError(t, err)
	tables, err := schema.CopyTables([]*schema.Table{atlasHistory}) // ent writes to the tables it is given, and tests run in parallel
	require.NoError(t, err)
	require.NoError(t, m.Create(context.Background(), tables...))
	return c
}

func (c *atlasCommand) executor(files map[string]string, drv migrate.Driver, opts ...migrate.ExecutorOption) *migrate.Executor {
	c.t.Helper()
	dir, err := migrate.NewLocalDir(folder(c.t, files))
	require.NoError(c.t, err)
	if drv == nil {
		drv = atlasDriver(c.t, c.dialect, c.pool)
	}
	ex, err := migrate.NewExecutor(drv, dir, c, append(opts, migrate.WithOperatorVersion("atlas"))...)
	require.NoError(c.t, err)
	return ex
}

func (c *atlasCommand) Ident() *migrate.TableIdent {
	ident := &migrate.TableIdent{Name: sharedHistory}
	if c.dialect == dialect.Postgres {
		ident.Schema = "public" // as with search_path=public in the URL
	}
	return ident
}

func (c *atlasCommand) ReadRevisions(ctx context.Context) (all []*migrate.Revision, err error) {
	found, err := c.pool.QueryContext(ctx, "SELECT version, description, type, applied, total, execution_time, COALESCE(error, ''), "+
		"COALESCE(error_stmt, ''), hash, partial_hashes, operator_version FROM atlas_schema_revisions "+
		"WHERE version <> '.atlas_cloud_identifier' ORDER BY version")
	if err != nil {
		return nil, err
	}
	defer found.Close()
	for found.Next() {
		var r migrate.Revision
		var sums []byte
		if err := found.Scan(&r.Version, &r.Description, &r.Type, &r.Applied, &r.Total, &r.ExecutionTime, &r.Error, &r.ErrorStmt, &r.Hash,
			&sums, &r.OperatorVersion); err != nil {
			return nil, err
		}
		if len(sums) > 0 {
			if err := json.Unmarshal(sums, &r.PartialHashes); err != nil {
				return nil, err
			}
		}
		all = append(all, &r)
	}
	return all, found.Err()
}

func (c *atlasCommand) ReadRevision(ctx context.Context, version string) (*migrate.Revision, error) {
	all, err := c.ReadRevisions(ctx)
	for _, r := range all {
		if r.Version == version {
			return r, nil
		}
	}
	return nil, errors.Join(err, migrate.ErrRevisionNotExist)
}

func (c *atlasCommand) WriteRevision(ctx context.Context, r *migrate.Revision) error {
	sums, err := json.Marshal(r.PartialHashes)
	if err != nil {
		return err
	}
	if err := c.DeleteRevision(ctx, r.Version); err != nil {
		return err
	}
	query := "INSERT INTO atlas_schema_revisions (version, description, type, applied, total, executed_at, execution_time, error, error_stmt, " +
		"hash, partial_hashes, operator_version) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
	if c.dialect == dialect.Postgres {
		query = "INSERT INTO atlas_schema_revisions (version, description, type, applied, total, executed_at, execution_time, error, error_stmt, " +
			"hash, partial_hashes, operator_version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
	}
	_, err = c.pool.ExecContext(ctx, query, r.Version, r.Description, int64(r.Type), r.Applied, r.Total, r.ExecutedAt.UTC(), int64(r.ExecutionTime),
		r.Error, r.ErrorStmt, r.Hash, string(sums), r.OperatorVersion)
	return err
}

func (c *atlasCommand) DeleteRevision(ctx context.Context, version string) error {
	_, err := c.pool.ExecContext(ctx, "DELETE FROM atlas_schema_revisions WHERE version = '"+version+"'")
	return err
}

func TestAtlasThenApply(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, kind dbtest.Kind) {
		ctx := context.Background()
		db := kind.New(t)
		files := three(kind.Dialect)
		require.NoError(t, newAtlasCommand(t, db).executor(files, nil).ExecuteN(ctx, 2))

		target := Target{Driver: driver(t, db), files: directory(t, files)}
		status, err := Status(ctx, target)
		require.NoError(t, err)
		require.Equal(t, []State{Applied, Applied, Pending}, []State{status[0].State, status[1].State, status[2].State})
		require.WithinDuration(t, time.Now(), status[0].AppliedAt, time.Minute)
		applied, err := Apply(ctx, target)
		require.NoError(t, err)
		require.Equal(t, []string{"3"}, applied)
		requireComplete(t, db, "", files)

		require.ErrorIs(t, newAtlasCommand(t, db).executor(files, nil).ExecuteN(ctx, 0), migrate.ErrNoPendingFiles)
	})
}

func TestApplyThenAtlas(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, kind dbtest.Kind) {
		ctx := context.Background()
		db := kind.New(t)
		files := three(kind.Dialect)
		_, err := Apply(ctx, Target{Driver: driver(t, db), files: directory(t, files)})
		require.NoError(t, err)

		command := newAtlasCommand(t, db)
		require.Empty(t, command.altered, "the history is as the command makes it")
		require.ErrorIs(t, command.executor(files, nil).ExecuteN(ctx, 0), migrate.ErrNoPendingFiles)

		files["4_more.sql"] = "ALTER TABLE sessions ADD COLUMN d bigint;\n"
		require.NoError(t, command.executor(files, nil).ExecuteN(ctx, 0))
		applied, err := Apply(ctx, Target{Driver: driver(t, db), files: directory(t, files)})
		require.NoError(t, err)
		require.Empty(t, applied)
	})
}

// Without transactions, as the atlas command has it on MySQL and with --tx-mode none, a file may be left half applied, by either.
func TestEitherGoesOnWithAPartlyAppliedFile(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, kind dbtest.Kind) {
		ctx := context.Background()
		files := three(kind.Dialect)

		db := kind.New(t)
		command := newAtlasCommand(t, db)
		broken := &brokenDriver{Driver: atlasDriver(t, kind.Dialect, command.pool), after: 4}
		require.ErrorIs(t, command.executor(files, broken).ExecuteN(ctx, 0), errBroken)
		target := Target{Driver: driver(t, db), files: directory(t, files)}
		status, err := Status(ctx, target)
		require.NoError(t, err)
		require.Equal(t, Partial, status[1].State)
		require.Equal(t, 2, status[1].Done)
		require.Contains(t, status[1].Failure, errBroken.Error())
		applied, err := Apply(ctx, target)
		require.NoError(t, err)
		require.Equal(t, []string{"2", "3"}, applied)
		requireComplete(t, db, "", files)
		require.ErrorIs(t, command.executor(files, nil).ExecuteN(ctx, 0), migrate.ErrNoPendingFiles)

		if kind.Dialect != dialect.MySQL {
			return // ours leaves nothing half applied
		}
		db = kind.New(t)
		alters := 0
		_, err = Apply(ctx, Target{files: directory(t, files), Driver: &hooked{driver(t, db), func(_ context.Context, query string) error {
			if len(query) > 5 && query[:5] == "ALTER" {
				if alters++; alters == 3 {
					return errBroken
				}
			}
			return nil
		}}})
		require.ErrorIs(t, err, errBroken)
		require.NoError(t, newAtlasCommand(t, db).executor(files, nil).ExecuteN(ctx, 0))
		requireComplete(t, db, "", files)
	})
}

var errBroken = errors.New("broken")

// brokenDriver fails after some statements.
type brokenDriver struct {
	migrate.Driver
	after int
}

func (d *brokenDriver) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if d.after--; d.after < 0 {
		return nil, errBroken
	}
	return d.Driver.ExecContext(ctx, query, args...)
}

// `atlas migrate set` and `--baseline` declare files applied that nobody has run.
func TestFilesThatWereDeclaredApplied(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, kind dbtest.Kind) {
		ctx := context.Background()
		files := three(kind.Dialect)
		for name, declare := range map[string]func(t *testing.T, c *atlasCommand, all []file){
			"set": func(t *testing.T, c *atlasCommand, all []file) {
				for _, f := range all[:2] {
					require.NoError(t, c.WriteRevision(ctx, &migrate.Revision{Version: f.version, Description: f.description,
						Type: migrate.RevisionTypeResolved, ExecutedAt: time.Now(), Hash: f.hash}))
				}
			},
			"set on a failed one": func(t *testing.T, c *atlasCommand, all []file) {
				require.NoError(t, c.WriteRevision(ctx, &migrate.Revision{Version: "1", Description: all[0].description,
					Type: migrate.RevisionTypeExecute, Applied: 2, Total: 2, ExecutedAt: time.Now(), Hash: all[0].hash}))
				require.NoError(t, c.WriteRevision(ctx, &migrate.Revision{Version: "2", Description: all[1].description, Applied: 1, Total: 3,
					Type: migrate.RevisionTypeExecute | migrate.RevisionTypeResolved, ExecutedAt: time.Now(), Hash: all[1].hash}))
			},
			"baseline": func(t *testing.T, c *atlasCommand, _ []file) {
				require.NoError(t, c.executor(files, nil, migrate.WithBaselineVersion("2")).ExecuteN(ctx, 1))
				require.NoError(t, c.DeleteRevision(ctx, "3"))
				run(t, c.pool, map[bool]string{false: "DROP INDEX session_a", true: "DROP INDEX session_a ON sessions"}[c.dialect == dialect.MySQL])
			},
		} {
			db := kind.New(t)
			all, err := readFiles(kind.Dialect, directory(t, files))
			require.NoError(t, err)
			for _, f := range all[:2] {
				run(t, db.Admin(t), f.stmts...)
			}
			declare(t, newAtlasCommand(t, db), all)
			applied, err := Apply(ctx, Target{Driver: driver(t, db), files: directory(t, files)})
			require.NoError(t, err, name)
			require.Equal(t, []string{"3"}, applied, name)
			requireComplete(t, db, "", files)
		}
	})
}

// What an application has in atlas_schema_revisions is left alone, and neither history hides files of the other.
func TestHistoryOfAnApplication(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, kind dbtest.Kind) {
		ctx := context.Background()
		ours := three(kind.Dialect)
		theirs := map[string]string{"0_users.sql": "CREATE TABLE users (id bigint);\n", "2_users.sql": "ALTER TABLE users ADD COLUMN x bigint;\n"}

		db := kind.New(t)
		command := newAtlasCommand(t, db)
		require.NoError(t, command.executor(theirs, nil).ExecuteN(ctx, 0))
		run(t, command.pool, "INSERT INTO atlas_schema_revisions (version, description, executed_at, execution_time, hash, operator_version) "+
			"VALUES ('.atlas_cloud_identifier', 'x', '2026-01-02 03:04:05', 0, '', '')")
		before := rows(t, command.pool, "SELECT * FROM atlas_schema_revisions ORDER BY version")
		target := Target{Driver: driver(t, db), files: directory(t, ours)}
		status, err := Status(ctx, target)
		require.NoError(t, err)
		require.Equal(t, Pending, status[1].State, "their version 2 is another one")
		applied, err := Apply(ctx, target)
		require.NoError(t, err)
		require.Equal(t, []string{"1", "2", "3"}, applied)
		require.Equal(t, before, rows(t, command.pool, "SELECT * FROM atlas_schema_revisions ORDER BY version"))
		requireComplete(t, db, "", ours)

		theirs["1_late.sql"] = "CREATE TABLE late (id bigint);\n"
		theirs["3_next.sql"] = "CREATE TABLE next (id bigint);\n"
		require.NoError(t, command.executor(theirs, nil, migrate.WithExecOrder(migrate.ExecOrderNonLinear)).ExecuteN(ctx, 0))
		columnNames(t, command.pool, "late")
		columnNames(t, command.pool, "next")

		// The other way round ours is in the shared history, and stays there.
		db = kind.New(t)
		target.Driver = driver(t, db)
		first := map[string]string{"1_create.sql": ours["1_create.sql"]}
		_, err = Apply(ctx, Target{Driver: target.Driver, files: directory(t, first)})
		require.NoError(t, err)
		command = newAtlasCommand(t, db)
		require.NoError(t, command.WriteRevision(ctx, &migrate.Revision{Version: "9", Description: "theirs", Type: migrate.RevisionTypeExecute,
			Applied: 1, Total: 1, ExecutedAt: time.Now()}))
		applied, err = Apply(ctx, target)
		require.NoError(t, err)
		require.Equal(t, []string{"2", "3"}, applied)
		require.Equal(t, [][]string{{"1"}, {"2"}, {"3"}, {"9"}}, rows(t, command.pool, "SELECT version FROM atlas_schema_revisions ORDER BY version"))

		// There a version can be taken. It is an error, and nothing is lost.
		require.NoError(t, command.WriteRevision(ctx, &migrate.Revision{Version: "4", Description: "theirs", Type: migrate.RevisionTypeExecute,
			Applied: 1, Total: 1, ExecutedAt: time.Now()}))
		ours["4_more.sql"] = "ALTER TABLE sessions ADD COLUMN d bigint;\n"
		_, err = Apply(ctx, Target{Driver: target.Driver, files: directory(t, ours)})
		require.ErrorContains(t, err, `version 4 of table "atlas_schema_revisions" is another migration, "theirs"`)
	})
}

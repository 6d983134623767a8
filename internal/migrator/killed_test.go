package migrator

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/internal/dbtest"
)

// Ten processes migrate at once, and those that are at work are killed, each before another of its writes: a statement or its record. The last one
// finishes what they have left.
func TestTenProcessesSomeKilled(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, kind dbtest.Kind) {
		if another(kind) {
			return
		}
		files := three(kind.Dialect)
		dir := folder(t, files)
		db := kind.New(t)
		doomed := make([]*process, 9)
		for i := range doomed {
			doomed[i] = start(t, db, dir, fmt.Sprintf("%s=%d", childKill, i+2))
		}
		last := start(t, db, dir)
		killed := 0
		for _, p := range doomed {
			if err := p.cmd.Wait(); err != nil {
				require.True(t, p.killed(), p.err.String())
				killed++
			}
		}
		require.NoError(t, last.cmd.Wait(), last.err.String())
		t.Logf("%d were killed", killed)
		requireComplete(t, db, "", files)
	})
}

// A process is killed while the server works on its statement: the server goes on without it, and the next Apply comes when it is done.
func TestKilledDuringAStatement(t *testing.T) {
	t.Parallel()
	for _, kind := range dbtest.Kinds(dialect.Postgres, dialect.MySQL) {
		if another(kind) {
			continue
		}
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			db := kind.New(t)
			all := three(kind.Dialect)
			_, err := Apply(ctx, Target{Driver: driver(t, db), files: directory(t, map[string]string{"1_create.sql": all["1_create.sql"]})})
			require.NoError(t, err)
			// Who reads the table keeps it from being altered.
			reader, err := db.Admin(t).BeginTx(ctx, nil)
			require.NoError(t, err)
			defer func() { _ = reader.Rollback() }()
			_, err = reader.Exec("SELECT count(*) FROM sessions")
			require.NoError(t, err)

			first := start(t, db, folder(t, all))
			admin := db.Admin(t)
			require.Eventually(t, func() bool { return altering(t, admin, kind) > 0 }, time.Minute, 10*time.Millisecond)
			require.NoError(t, first.cmd.Process.Kill())
			require.Error(t, first.cmd.Wait())
			second := start(t, db, folder(t, all))
			third := start(t, db, folder(t, all))
			require.NoError(t, reader.Rollback())
			for _, p := range []*process{second, third} {
				require.NoError(t, p.cmd.Wait(), p.err.String())
			}
			require.ElementsMatch(t, []string{"2", "3"}, strings.Fields(second.out.String()+" "+third.out.String()))
			requireComplete(t, db, "", all)
		})
	}
}

// another tells that one server of the kind is enough.
func another(kind dbtest.Kind) bool {
	return kind.Dialect == dialect.Postgres && kind.Name != "postgres15"
}

// altering counts the statements that wait to alter the table.
func altering(t *testing.T, admin *sql.DB, kind dbtest.Kind) (n int) {
	t.Helper()
	query := "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'ALTER%'"
	if kind.Dialect == dialect.MySQL {
		query = "SELECT count(*) FROM information_schema.processlist WHERE db = DATABASE() AND info LIKE 'ALTER%' AND state LIKE 'Waiting for table metadata%'"
	}
	require.NoError(t, admin.QueryRow(query).Scan(&n))
	return n
}

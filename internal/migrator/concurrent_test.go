package migrator

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"entgo.io/ent/dialect"
	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/internal/dbtest"
)

// folder makes a directory of files that a child can open.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	return fmt.Sprint(directory(t, files)) // an os.DirFS is its path
}

func TestTenProcessesAtOnce(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, kind dbtest.Kind) {
		db := kind.New(t)
		dir := folder(t, three(kind.Dialect))
		processes := make([]*process, 10)
		for i := range processes {
			processes[i] = start(t, db, dir)
		}
		var applied []string
		for _, p := range processes {
			require.NoError(t, p.cmd.Wait(), p.err.String())
			applied = append(applied, strings.Fields(p.out.String())...)
		}
		require.ElementsMatch(t, []string{"1", "2", "3"}, applied, "each file once")
		requireComplete(t, db, "", three(kind.Dialect))
	})
}

// requireComplete shows that all is there, and that nothing is left to do.
func requireComplete(t *testing.T, db *dbtest.DB, table string, files map[string]string) {
	t.Helper()
	target := Target{Driver: driver(t, db), Table: table, files: directory(t, files)}
	applied, err := Apply(context.Background(), target)
	require.NoError(t, err)
	require.Empty(t, applied)
	status, err := Status(context.Background(), target)
	require.NoError(t, err)
	for _, f := range status {
		require.Equal(t, Applied, f.State)
	}
	require.Equal(t, []string{"id", "data", "timeout", "a", "b", "c"}, columnNames(t, db.Admin(t), cmp.Or(table, "sessions")))
}

// A process may be killed before any of its writes; the next one completes the work.
func TestKilledAnywhere(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, kind dbtest.Kind) {
		files := three(kind.Dialect)
		dir := folder(t, files)
		db := kind.New(t)
		for kill := 1; ; kill++ {
			table := "" // the default has the shared history
			if kill > 1 {
				table = fmt.Sprintf("killed%d", kill)
			}
			first := start(t, db, dir, fmt.Sprintf("%s=%d", childKill, kill), childTable+"="+table)
			err := first.cmd.Wait()
			if err == nil { // it had fewer writes
				require.Greater(t, kill, 6+3, "at least the statements and their revisions")
				return
			}
			require.True(t, first.killed(), first.err.String())
			_, err = Apply(context.Background(), Target{Driver: driver(t, db), Table: table, files: directory(t, files)})
			require.NoError(t, err, "killed before write %d", kill)
			requireComplete(t, db, table, files)
		}
	})
}

// Without advisory locks the database's own constraints decide who is first.
func TestDatabaseWithoutAdvisoryLocks(t *testing.T) {
	t.Parallel()
	for _, kind := range dbtest.Kinds(dialect.Postgres) {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			db := kind.New(t)
			var mu sync.Mutex
			var applied []string
			var group sync.WaitGroup
			for range 6 {
				drv := &hooked{driver(t, db), func(_ context.Context, query string) error {
					if strings.Contains(query, "advisory") {
						return fmt.Errorf("no locks: %w", stateError("0A000"))
					}
					return nil
				}}
				files := directory(t, three(kind.Dialect))
				group.Go(func() {
					versions, err := Apply(context.Background(), Target{Driver: drv, files: files})
					mu.Lock()
					defer mu.Unlock()
					applied = append(applied, versions...)
					if err != nil {
						t.Error(err)
					}
				})
			}
			group.Wait()
			require.ElementsMatch(t, []string{"1", "2", "3"}, applied)
			requireComplete(t, db, "", three(kind.Dialect))
		})
	}
}

type stateError string

func (e stateError) Error() string    { return "SQLSTATE " + string(e) }
func (e stateError) SQLState() string { return string(e) }

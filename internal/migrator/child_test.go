package migrator

// The child: this test binary again, as a process that migrates, and may die of it.

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"entgo.io/ent/dialect"
	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/internal/dbtest"
)

// What a child is told.
const (
	childDialect = "MIGRATOR_TEST_DIALECT"
	childDSN     = "MIGRATOR_TEST_DSN"
	childDir     = "MIGRATOR_TEST_DIR"
	childTable   = "MIGRATOR_TEST_TABLE"
	// childKill is the number of the statement that the child does not live to send, counted over those that write.
	childKill = "MIGRATOR_TEST_KILL"
)

func child() int {
	d := os.Getenv(childDialect)
	name := map[string]string{dialect.Postgres: "pgx", dialect.MySQL: "mysql", dialect.SQLite: "sqlite"}[d]
	pool, err := sql.Open(name, os.Getenv(childDSN))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer pool.Close()
	pool.SetMaxOpenConns(1)
	drv := openDriver(d, pool)
	var kill int
	if _, err := fmt.Sscan(os.Getenv(childKill), &kill); err == nil {
		writes := 0
		drv = &hooked{drv, func(_ context.Context, query string) error {
			if isWrite(query) {
				if writes++; writes == kill {
					self, err := os.FindProcess(os.Getpid())
					if err == nil && self.Kill() == nil {
						select {}
					}
				}
			}
			return nil
		}}
	}
	applied, err := Apply(context.Background(), Target{Driver: drv, Table: os.Getenv(childTable), files: os.DirFS(os.Getenv(childDir))})
	fmt.Println(strings.Join(applied, " "))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// isWrite tells the statements whose order a killed process may be caught in.
func isWrite(query string) bool {
	verb, _, _ := strings.Cut(query, " ")
	return verb == "CREATE" || verb == "ALTER" || verb == "INSERT" || verb == "UPDATE"
}

type process struct {
	cmd      *exec.Cmd
	out, err bytes.Buffer
}

func start(t *testing.T, db *dbtest.DB, dir string, env ...string) *process {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	p := &process{cmd: exec.Command(self)}
	p.cmd.Env = append(os.Environ(), append(env,
		childDialect+"="+db.Kind.Dialect, childDSN+"="+db.DSN(), childDir+"="+dir)...)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.err
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() { // when the test failed before it waited
		if p.cmd.ProcessState == nil {
			_ = p.cmd.Process.Kill()
			_ = p.cmd.Wait()
		}
	})
	return p
}

func (p *process) killed() bool { return !p.cmd.ProcessState.Exited() }

package dbtest

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestDurable kills a server in the middle of its work: what was committed is there after the restart, what was not is
// gone.
func TestDurable(t *testing.T) {
	t.Parallel()
	for _, k := range oneOfEach() {
		t.Run(k.Name, func(t *testing.T) {
			t.Parallel()
			s := k.Start(t, Durable())
			db := s.New(t).Admin(t)
			if k.Dialect == Postgres {
				require.Equal(t, "on", ask(t, db, `SHOW fsync`))
			} else {
				require.Equal(t, "1", ask(t, db, `SELECT @@innodb_flush_log_at_trx_commit`))
			}
			killInTheMiddle(t, s, db)
		})
	}
}

// oneOfEach is enough where the PostgreSQL majors have nothing to differ in.
func oneOfEach() []Kind { return append(Kinds(Postgres)[:1], Kinds(MySQL)...) }

func killInTheMiddle(t *testing.T, s *Server, db *sql.DB) {
	t.Helper()
	_, err := db.Exec(`CREATE TABLE probe (n integer)`)
	require.NoError(t, err)
	for n := range 100 {
		_, err := db.Exec(fmt.Sprintf(`INSERT INTO probe VALUES (%d)`, n))
		require.NoError(t, err)
	}
	tx, err := db.Begin()
	require.NoError(t, err)
	_, err = tx.Exec(`INSERT INTO probe VALUES (1000)`)
	require.NoError(t, err)

	pid, addr := s.Pid(), s.Addr()
	require.NoError(t, s.Kill())
	require.Zero(t, s.Pid())
	require.True(t, gone(pid))
	require.Error(t, tx.Commit())
	require.Error(t, db.Ping())
	require.NoError(t, s.Kill(), "twice")

	require.NoError(t, s.Restart())
	require.NotEqual(t, pid, s.Pid())
	require.Equal(t, addr, s.Addr())
	require.Equal(t, "100", ask(t, db, `SELECT count(*) FROM probe`))
	require.Equal(t, "99", ask(t, db, `SELECT max(n) FROM probe`))
}

// TestLife takes one server through all that can happen to it, and shows that nothing is left of it.
func TestLife(t *testing.T) {
	t.Parallel()
	for _, k := range Kinds(Postgres, MySQL) {
		t.Run(k.Name, func(t *testing.T) {
			t.Parallel()
			setting, query := Setting("log_statement", "all"), `SELECT 'a needle'`
			if k.Dialect == MySQL {
				setting, query = Setting("log_warnings", "9"), `SELECT @@log_warnings`
			}
			s := k.Start(t, setting)
			db := s.New(t).Admin(t)
			answer := ask(t, db, query)
			if k.Dialect == MySQL {
				require.Equal(t, "9", answer)
				require.Contains(t, s.Log(), "ready for connections")
			} else {
				require.Contains(t, s.Log(), "a needle")
			}
			killInTheMiddle(t, s, db)

			require.NoError(t, s.Shutdown(), "with a client connected")
			require.Error(t, db.Ping())
			require.NoError(t, s.Restart(), "when it does not run")
			require.NoError(t, s.Restart(), "when it runs")
			require.Equal(t, "100", ask(t, db, `SELECT count(*) FROM probe`))

			requireStops(t, s, false)
		})
	}
}

// TestStopKilled stops a server that could not clean up after itself.
func TestStopKilled(t *testing.T) {
	t.Parallel()
	for _, k := range oneOfEach() {
		t.Run(k.Name, func(t *testing.T) {
			t.Parallel()
			requireStops(t, k.Start(t), true)
		})
	}
}

// requireStops looks for processes, files and shared memory before and after the end.
func requireStops(t *testing.T, s *Server, kill bool) {
	t.Helper()
	pid, root, isPostgres := s.Pid(), s.dir.root, s.Kind.Dialect == Postgres
	pids := append(descendantsOf(pid), pid)
	require.Equal(t, isPostgres, len(pids) > 1)
	require.Equal(t, isPostgres, sharedMemoryOf(t, pid))
	require.FileExists(t, filepath.Join(root, lockName))
	if kill {
		require.NoError(t, s.Kill())
		require.Equal(t, isPostgres, sharedMemoryOf(t, pid), "a killed server leaves it behind")
	}
	require.NoError(t, s.Stop())
	for _, pid := range pids {
		require.True(t, gone(pid))
	}
	require.NoDirExists(t, root)
	require.False(t, sharedMemoryOf(t, pid))
	require.Zero(t, s.Pid())
	require.NoError(t, s.Stop(), "twice")
	require.ErrorContains(t, s.Restart(), "stopped for good")
}

// sharedMemoryOf reports whether a System V segment is left that the process made.
func sharedMemoryOf(t *testing.T, pid int) bool {
	t.Helper()
	segments, err := os.ReadFile("/proc/sysvipc/shm")
	require.NoError(t, err)
	for _, line := range strings.Split(string(segments), "\n") {
		// key shmid perms size cpid ...
		if fields := strings.Fields(line); len(fields) > 4 && fields[4] == strconv.Itoa(pid) {
			return true
		}
	}
	return false
}

// TestTheTestsDie kills a test process: its servers end with it, and the next process removes their folders.
func TestTheTestsDie(t *testing.T) {
	t.Parallel()
	for _, k := range oneOfEach() {
		t.Run(k.Name, func(t *testing.T) {
			t.Parallel()
			child := startChild(t, k)
			require.False(t, gone(child.pid))
			sweep(child.root)
			require.DirExists(t, child.root, "it is in use")

			child.kill()
			require.Eventually(t, func() bool { return gone(child.pid) }, patience, 5*time.Millisecond)
			require.DirExists(t, child.root, "nobody could remove it")
			sweep(child.root)
			require.NoDirExists(t, child.root)
		})
	}
}

func TestStartFails(t *testing.T) {
	t.Parallel()
	for _, k := range oneOfEach() {
		t.Run(k.Name, func(t *testing.T) {
			t.Parallel()
			s, err := Start(k, Setting("no_such_setting", "1"))
			if errors.Is(err, ErrMissing) {
				skipOrFail(t, err)
			}
			require.ErrorContains(t, err, "no_such_setting", "the end of the log is in the error")
			require.Nil(t, s)
		})
	}
	_, err := Start(Kinds(SQLite)[0])
	require.ErrorContains(t, err, "no server")
}

// outcome is a test that notes how it was ended.
type outcome struct {
	testing.TB
	skipped, failed string
}

func (o *outcome) Helper()           {}
func (o *outcome) Skip(args ...any)  { o.skipped = fmt.Sprint(args...); panic(o) }
func (o *outcome) Fatal(args ...any) { o.failed = fmt.Sprint(args...); panic(o) }

func TestMissing(t *testing.T) {
	absent := Kind{Name: "postgres9", Dialect: Postgres, engine: postgresEngine{major: 9}}
	run := func() *outcome {
		o := &outcome{}
		require.PanicsWithValue(t, o, func() { absent.New(o) })
		return o
	}
	t.Setenv(RequireEnv, "")
	require.Contains(t, run().skipped, "PostgreSQL 9 is not installed; `make deps`")
	t.Setenv(RequireEnv, "1")
	require.Contains(t, run().failed, "PostgreSQL 9 is not installed; `make deps`")
}

func TestReachable(t *testing.T) {
	t.Parallel()
	outer, err := os.MkdirTemp("/tmp", "reach-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(outer)) })
	inner := filepath.Join(outer, "inner")
	require.NoError(t, os.Mkdir(inner, 0o755))
	require.False(t, openToAll(inner))
	require.NoError(t, os.Chmod(outer, 0o711))
	require.True(t, openToAll(inner))
	require.False(t, openToAll(filepath.Join(outer, "nothing")))
}

func newDir(t *testing.T) *tempDir {
	t.Helper()
	d, err := newTempDir()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.remove()) })
	return d
}

func TestSweepSpares(t *testing.T) {
	t.Parallel()
	d := newDir(t)
	sweep(d.root)
	require.DirExists(t, d.path, "ours, in use")

	unlocked := filepath.Join(t.TempDir(), "no-lock")
	require.NoError(t, os.Mkdir(unlocked, 0o700))
	sweep(unlocked)
	require.DirExists(t, unlocked, "just being made")

	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(unlocked, link))
	require.NoError(t, os.WriteFile(filepath.Join(unlocked, lockName), nil, 0o600))
	sweep(link)
	require.DirExists(t, unlocked, "behind a link")
	sweep(unlocked)
	require.NoDirExists(t, unlocked)
}

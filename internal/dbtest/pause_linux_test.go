package dbtest

import (
	"context"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestPause shows that a paused server answers nobody, on connections old and new, and goes on where it was.
func TestPause(t *testing.T) {
	t.Parallel()
	for _, k := range oneOfEach() {
		t.Run(k.Name, func(t *testing.T) {
			t.Parallel()
			s := k.Start(t)
			d := s.New(t)
			db := d.Admin(t)
			conn, err := db.Conn(t.Context())
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, conn.Close()) })
			_, err = conn.ExecContext(t.Context(), `CREATE TABLE probe (n integer)`)
			require.NoError(t, err)

			require.NoError(t, s.Pause())
			require.NoError(t, s.Pause(), "twice")
			done := make(chan error, 1)
			go func() {
				_, err := conn.ExecContext(t.Context(), `INSERT INTO probe VALUES (1)`)
				done <- err
			}()
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			require.Error(t, d.Admin(t).PingContext(ctx))
			require.Error(t, ctx.Err(), "no answer, rather than a refusal")
			require.Empty(t, done)
			for _, pid := range append(descendantsOf(s.Pid()), s.Pid()) {
				require.True(t, stopped(pid))
			}

			require.NoError(t, s.Resume())
			require.NoError(t, <-done)
			require.Equal(t, "1", ask(t, db, `SELECT count(*) FROM probe`))
			require.NoError(t, s.Resume(), "of one that runs")
		})
	}
}

// TestEndPaused ends a paused server in each way there is.
func TestEndPaused(t *testing.T) {
	t.Parallel()
	for _, k := range oneOfEach() {
		t.Run(k.Name, func(t *testing.T) {
			t.Parallel()
			s := k.Start(t)
			pid := s.Pid()
			require.NoError(t, s.Pause())
			require.NoError(t, s.Kill())
			require.True(t, gone(pid))
			require.NoError(t, s.Pause(), "nothing to pause")
			require.NoError(t, s.Resume(), "nothing to resume")
			require.NoError(t, s.Restart())

			require.NoError(t, s.Pause())
			require.NoError(t, s.Restart())
			require.NoError(t, s.Pause())
			require.NoError(t, s.Shutdown())
			require.NoError(t, s.Restart())

			require.NoError(t, s.Pause())
			start := time.Now()
			requireStops(t, s, false)
			require.Less(t, time.Since(start), 9*time.Second, "it did not have to be killed")
		})
	}
}

// TestPausedWhenTheTestsDie kills a test process that has paused its server.
func TestPausedWhenTheTestsDie(t *testing.T) {
	t.Parallel()
	for _, k := range oneOfEach() {
		t.Run(k.Name, func(t *testing.T) {
			t.Parallel()
			child := startChild(t, k, pausedEnv+"=1")
			tree := append(descendantsOf(child.pid), child.pid)
			for _, pid := range tree {
				require.True(t, stopped(pid))
			}
			child.kill()
			for _, pid := range tree {
				require.Eventually(t, func() bool { return gone(pid) }, patience, 5*time.Millisecond)
			}
		})
	}
}

// TestKillReachesDescendants would fail if they were left to notice their parent's end by themselves.
func TestKillReachesDescendants(t *testing.T) {
	t.Parallel()
	d := newDir(t)
	p, err := startProcess([]string{"/bin/sh", "-c", "sh -c 'sleep 1000 & wait' & sleep 1000 & wait"},
		filepath.Join(d.root, "log"), syscall.SIGKILL)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(descendantsOf(p.pid)) == 3 }, patience, time.Millisecond)
	tree := descendantsOf(p.pid)
	require.NoError(t, p.kill())
	for _, pid := range append(tree, p.pid) {
		require.True(t, gone(pid))
	}
}

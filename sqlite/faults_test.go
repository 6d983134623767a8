package sqlite

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/internal/backend"
)

// What can go wrong with a file: its disk is full, someone else has locked it, the process that writes to it is killed. disk_linux_test.go has
// a real disk.

// store opens a store on a file.
func store(t *testing.T, path string, change ...func(*entsession.Config)) *entsession.Store {
	t.Helper()
	cfg := entsession.Config{Driver: "sqlite", Database: path, DisableAutopurge: true, StatementTimeout: 10 * time.Second}
	for _, c := range change {
		c(&cfg)
	}
	s, err := entsession.Open(deadline(t), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	require.NoError(t, s.Migrate(deadline(t)))
	return s
}

func intact(t *testing.T, path string) {
	t.Helper()
	require.Equal(t, "ok", text(t, open(t, backend.Settings{Database: path}), `PRAGMA integrity_check`))
}

func TestFileFull(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "d")
	full := store(t, path, func(c *entsession.Config) { c.Params = map[string]string{"max_page_count": "200"} })
	fillUp(t, path, full, func(made []*entsession.Session) { // a revocation takes no room, and makes some
		for _, sess := range made {
			require.NoError(t, full.Delete(deadline(t), sess.ID()))
		}
	})
}

// fillUp writes until there is no room. What was acknowledged is there and nothing else, and when there is room again the store works on.
func fillUp(t *testing.T, path string, s *entsession.Store, makeRoom func(half []*entsession.Session)) {
	t.Helper()
	const size = 20_000
	ctx := deadline(t)
	var mu sync.Mutex
	var made []*entsession.Session
	var full error
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for {
				sess, err := s.Create(ctx, []byte(strings.Repeat("x", size)))
				mu.Lock()
				if err == nil {
					made = append(made, sess)
				} else {
					full = err
				}
				mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	all.Wait()
	require.NoError(t, ctx.Err())
	require.ErrorContains(t, full, "full")
	require.NotEmpty(t, made)
	look := func(alive []*entsession.Session) {
		t.Helper()
		for _, sess := range alive {
			got, err := s.Load(ctx, sess.ID())
			require.NoError(t, err)
			require.Len(t, got.Data, size)
		}
		require.Equal(t, fmt.Sprint(len(alive)), text(t, open(t, backend.Settings{Database: path}), `SELECT count(*) FROM sessions WHERE timeout > 0`), "and no other")
	}
	look(made)
	intact(t, path)
	half := made[:len(made)/2]
	makeRoom(half)
	for _, sess := range half {
		require.NoError(t, s.Delete(ctx, sess.ID()))
	}
	look(made[len(half):])
	sess, err := s.Create(ctx, []byte(strings.Repeat("y", size)))
	require.NoError(t, err)
	require.NoError(t, s.Save(ctx, sess))
	intact(t, path)
}

// What the other process is to do, and with which file.
const (
	childTask = "ENTSESSION_TEST_SQLITE_TASK"
	childFile = "ENTSESSION_TEST_SQLITE_CHILD_FILE"
)

// TestChild is the other process.
func TestChild(t *testing.T) {
	switch os.Getenv(childTask) {
	case "lock":
		pool := open(t, backend.Settings{Database: os.Getenv(childFile)})
		tx, err := pool.Begin()
		require.NoError(t, err)
		fmt.Println("locked")
		_, _ = io.Copy(io.Discard, os.Stdin) // until it is closed
		require.NoError(t, tx.Rollback())
	case "write":
		writeForEver(t, os.Getenv(childFile))
	}
}

// child starts another process, and returns what it says and how to end its input.
func child(t *testing.T, task, path string) (cmd *exec.Cmd, out *bufio.Scanner, in io.Closer) {
	t.Helper()
	cmd = exec.Command(os.Args[0], "-test.run=^TestChild$")
	cmd.Env = append(os.Environ(), childTask+"="+task, childFile+"="+path)
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cmd.Stderr = os.Stderr
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	return cmd, bufio.NewScanner(stdout), stdin
}

// Another process has the file locked. Loads go on; a change waits as long as its context, the statement timeout or SQLite's own timeout allows.
func TestLockedByAnotherProcess(t *testing.T) {
	t.Parallel()
	ctx := deadline(t)
	path := filepath.Join(t.TempDir(), "d")
	patient := store(t, path)
	bounded := store(t, path, func(c *entsession.Config) { c.StatementTimeout = 200 * time.Millisecond })
	busy := store(t, path, func(c *entsession.Config) { c.Params = map[string]string{"busy_timeout": "10"} })
	sess, err := patient.Create(ctx, []byte("x"))
	require.NoError(t, err)

	cmd, out, in := child(t, "lock", path)
	require.True(t, out.Scan())
	require.Equal(t, "locked", out.Text())
	for _, s := range []*entsession.Store{patient, bounded, busy} {
		_, err := s.Load(ctx, sess.ID())
		require.NoError(t, err, "who reads does not wait")
		brief, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		_, err = s.Create(brief, []byte("perhaps"))
		require.Error(t, err)
		cancel()
	}
	start := time.Now()
	_, err = bounded.Create(ctx, []byte("never"))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	_, err = busy.Create(ctx, []byte("never"))
	require.ErrorContains(t, err, "locked")
	require.Less(t, time.Since(start), 8*time.Second)
	waited := make(chan error, 1)
	go func() {
		sess.Data = []byte("y")
		waited <- patient.Save(ctx, sess)
	}()
	require.Never(t, func() bool { return len(waited) > 0 }, 100*time.Millisecond, 10*time.Millisecond)
	require.NoError(t, in.Close())
	require.NoError(t, <-waited, "it was worth waiting for")
	require.NoError(t, cmd.Wait())
	for _, s := range []*entsession.Store{patient, bounded, busy} {
		_, err = s.Update(ctx, sess.ID(), func(s *entsession.Session) error { s.Data = append(s.Data, '.'); return nil })
		require.NoError(t, err)
	}
	rows := open(t, backend.Settings{Database: path})
	require.Equal(t, "0", text(t, rows, `SELECT count(*) FROM sessions WHERE data LIKE 'never%'`), "what failed was not done")
	// Who left before the answer can't know: the patient store's transaction went on.
	require.Equal(t, "1", text(t, rows, `SELECT count(*) FROM sessions WHERE data LIKE 'y%'`))
	require.LessOrEqual(t, text(t, rows, `SELECT count(*) FROM sessions`), "2")
	intact(t, path)
}

// writeForEver says what was acknowledged, a line for each.
func writeForEver(t *testing.T, path string) {
	s := store(t, path)
	ctx := context.Background()
	var mu sync.Mutex
	say := func(words ...any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Println(words...) // one write to the pipe
	}
	var all sync.WaitGroup
	for caller := range 8 {
		all.Go(func() {
			for n := 0; ; n++ {
				sess, err := s.Create(ctx, []byte("created"))
				if err != nil {
					t.Error(err)
					return
				}
				say("created", sess.Key())
				sess.Data = fmt.Append(nil, "saved by ", caller, strings.Repeat(".", rand.IntN(5000)))
				if err = s.Save(ctx, sess); err == nil {
					say("saved", sess.Key(), len(sess.Data))
					if n%2 == 0 {
						err = s.Delete(ctx, sess.ID())
						say("deleted", sess.Key())
					} else {
						var fresh *entsession.Session
						if fresh, err = s.Rotate(ctx, sess.ID()); err == nil {
							say("deleted", sess.Key())
							say("saved", fresh.Key(), len(sess.Data))
						}
					}
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}

// A process is killed in the middle of its writes, again and again. What it had been told is there, and the file is sound.
func TestKilledWriter(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "d")
	s := store(t, path)
	total := 0
	for range 4 {
		cmd, out, _ := child(t, "write", path)
		state, size := map[string]string{}, map[string]string{}
		for n := 100 + rand.IntN(400); out.Scan(); n-- {
			words := strings.Fields(out.Text())
			switch {
			case len(words) < 2: // a line that was cut
				continue
			case words[0] == "created", words[0] == "deleted":
				state[words[1]] = words[0]
			case words[0] == "saved" && len(words) == 3:
				state[words[1]], size[words[1]] = words[0], words[2]
			}
			if n == 0 {
				require.NoError(t, cmd.Process.Kill()) // what it said before it died is still read
			}
		}
		_ = cmd.Wait()
		require.NotEmpty(t, state)
		total += len(state)
		intact(t, path)
		pool := open(t, backend.Settings{Database: path})
		for key, is := range state {
			var length string
			var live bool
			require.NoError(t, pool.QueryRowContext(deadline(t), `SELECT length(data), timeout > 0 FROM sessions WHERE id = ?`, key).Scan(&length, &live), "%s, and gone", is)
			switch is {
			case "deleted":
				require.False(t, live)
			case "saved": // a deletion may have been under way
				require.True(t, !live || length == size[key], "%s bytes were saved, %s are there", size[key], length)
			}
		}
		sess, err := s.Create(deadline(t), []byte("works on"))
		require.NoError(t, err)
		require.NoError(t, s.Delete(deadline(t), sess.ID()))
	}
	t.Logf("%d sessions", total)
}

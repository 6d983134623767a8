package dbtest

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	childEnv  = "ENTSESSION_DBTEST_CHILD"  // the kind that a child starts
	pausedEnv = "ENTSESSION_DBTEST_PAUSED" // the child pauses it
)

// child is a test process with a server of its own, that a test kills.
type child struct {
	pid  int    // the server's
	root string // the server's folder
	kill func()
}

func startChild(t *testing.T, k Kind, env ...string) child {
	t.Helper()
	if err := k.engine.installed(); err != nil {
		skipOrFail(t, err)
	}
	process := exec.Command(os.Args[0], "-test.run=^TestChild$", "-test.v")
	process.Env = append(append(os.Environ(), childEnv+"="+k.Name), env...)
	stdin, err := process.StdinPipe()
	require.NoError(t, err)
	t.Cleanup(func() { _ = stdin.Close() })
	out, err := process.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, process.Start())

	c := child{kill: func() {
		require.NoError(t, process.Process.Kill())
		require.Error(t, process.Wait())
	}}
	lines := bufio.NewScanner(out)
	for c.pid == 0 && lines.Scan() {
		_, _ = fmt.Sscanf(lines.Text(), "child's server: %d %s", &c.pid, &c.root)
	}
	require.NotZero(t, c.pid)
	return c
}

// TestChild is the test process that others kill.
func TestChild(t *testing.T) {
	name := os.Getenv(childEnv)
	if name == "" {
		return
	}
	for _, k := range Kinds() {
		if k.Name == name {
			s := k.Start(t)
			if os.Getenv(pausedEnv) != "" {
				require.NoError(t, s.Pause())
			}
			fmt.Printf("child's server: %d %s\n", s.Pid(), s.dir.root)
			_, _ = os.Stdin.Read(make([]byte, 1)) // until the parent is done with us
		}
	}
}

package dbtest

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is a running server.
type process struct {
	pid  int
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

// startProcess starts a server that gets deathSignal when this process dies, however it dies.
func startProcess(args []string, log string, deathSignal os.Signal) (*process, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := command(args)
	cmd.Dir = filepath.Dir(log)
	cmd.Stdout, cmd.Stderr = out, out
	// A group of its own, or an interrupt typed at the terminal would reach the server before the tests are done.
	cmd.SysProcAttr.Setpgid = true
	cmd.SysProcAttr.Pdeathsig = deathSignal.(syscall.Signal)

	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The kernel sends the death signal when the starting thread ends, so that thread is kept until the server has.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // state has it
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	p.pid = cmd.Process.Pid
	return p, nil
}

// command prepares a program of the servers: without this process's environment, in which PGDATA and the like could
// point at someone else's database, and as a user whom servers accept.
func command(args []string) *exec.Cmd {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	if os.Geteuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
	return cmd
}

// nobody is the user and group that servers run as under root, whom they refuse.
const nobody = 65534

func (p *process) state() string { return p.cmd.ProcessState.String() }

func (p *process) signal(sig os.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// end sends a signal that ends the server soon, and sees to it that it does.
func (p *process) end(sig os.Signal) error {
	if sig == syscall.SIGKILL {
		return p.kill()
	}
	if err := p.signal(sig); err != nil {
		return err
	}
	if err := p.resume(); err != nil {
		return err
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(10 * time.Second):
		return p.kill()
	}
}

// removeSharedMemory removes the System V segment by which PostgreSQL marks its data folder as in use. A server that
// ends by itself does that, a killed one can't. The lock file's 7th line is the segment's key and number.
func removeSharedMemory(lockFile string) {
	text, err := os.ReadFile(lockFile)
	if err != nil {
		return // it ended by itself
	}
	lines := strings.Split(string(text), "\n")
	if len(lines) < 7 {
		return
	}
	if fields := strings.Fields(lines[6]); len(fields) == 2 {
		if id, err := strconv.Atoi(fields[1]); err == nil {
			_, _ = unix.SysvShmCtl(id, unix.IPC_RMID, nil)
		}
	}
}

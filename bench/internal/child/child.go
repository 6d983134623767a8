// Package child runs programs that end when this one does, however it ends.
package child

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// Process is a program that runs.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{}
	said *output
}

// Start runs a program in a process group of its own, where an interrupt typed at the terminal does not reach it: the one who
// started it ends it, in its turn. The kernel kills it when this process dies.
func Start(name string, args ...string) (*Process, error) {
	cmd := exec.Command(name, args...)
	p := &Process{cmd: cmd, done: make(chan struct{}), said: &output{}}
	cmd.Stdout, cmd.Stderr = p.said, p.said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		// The kernel sends the signal when the starting thread ends: it is kept.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	return p, nil
}

// Said is what it has written to its standard output and error.
func (p *Process) Said() string { return p.said.String() }

// Until waits for a condition to hold, and fails when the process has ended or patience has.
func (p *Process) Until(holds func() bool) error {
	deadline := time.Now().Add(30 * time.Second)
	for !holds() {
		select {
		case <-p.done:
			return fmt.Errorf("%s ended (%v): %s", p.cmd.Path, p.cmd.ProcessState, p.Said())
		case <-time.After(5 * time.Millisecond): // it tells nobody that it is ready
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s is not ready: %s", p.cmd.Path, p.Said())
		}
	}
	return nil
}

// Stop ends it, politely first, and returns when it has ended.
func (p *Process) Stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // an error is that it has ended
	select {
	case <-p.done:
	case <-time.After(5 * time.Second):
		_ = p.cmd.Process.Signal(os.Kill)
		<-p.done
	}
}

type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

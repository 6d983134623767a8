package torture

import (
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"time"
)

// errDied means that the client was killed before it answered: nobody knows what came of the call.
var errDied = errors.New("the client died")

// process is a client in a process of its own.
type process struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	gone  chan struct{} // closed when it has ended and its last answer was read

	mu      sync.Mutex
	out     *gob.Encoder
	seq     uint64
	waiting map[uint64]chan answer
	ended   bool
}

// patience bounds a wait for what must come soon.
const patience = time.Minute

func startProcess(role string, stderr io.Writer) (*exec.Cmd, io.WriteCloser, io.ReadCloser, chan struct{}, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, nil, nil, fmt.Errorf("starting a %s: %w", role, err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), childVar+"="+role)
	cmd.Stderr = stderr
	diesWithUs(cmd)
	stdin, inErr := cmd.StdinPipe()
	stdout, outErr := cmd.StdoutPipe()
	if err := errors.Join(inErr, outErr); err != nil {
		return nil, nil, nil, nil, fmt.Errorf("starting a %s: %w", role, err)
	}
	started, reaped := make(chan error), make(chan struct{})
	go func() {
		// The kernel ends it with the thread that started it, so that thread is kept.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_, _ = cmd.Process.Wait() // not cmd.Wait, which would close stdout before it was read
			close(reaped)
		}
	}()
	if err := <-started; err != nil {
		return nil, nil, nil, nil, fmt.Errorf("starting a %s: %w", role, err)
	}
	return cmd, stdin, stdout, reaped, nil
}

// startClient starts a client, which is ready when its store is open.
func startClient(s setup, stderr io.Writer) (*process, error) {
	cmd, stdin, stdout, reaped, err := startProcess("client", stderr)
	if err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, stdin: stdin, gone: make(chan struct{}), out: gob.NewEncoder(stdin), waiting: map[uint64]chan answer{}}
	ready := make(chan answer, 1)
	p.waiting[0] = ready
	go p.read(stdout, reaped)
	if err := p.out.Encode(s); err != nil {
		return nil, errors.Join(fmt.Errorf("telling client %d what to do: %w", s.Number, err), p.kill())
	}
	select {
	case _, ok := <-ready:
		if ok {
			return p, nil
		}
		return nil, fmt.Errorf("client %d ended at once: its standard error says why", s.Number)
	case <-time.After(patience):
		return nil, errors.Join(fmt.Errorf("client %d could not open its store within %v", s.Number, patience), p.kill())
	}
}

func (p *process) read(stdout io.ReadCloser, reaped chan struct{}) {
	in := gob.NewDecoder(stdout)
	for {
		var a answer
		if err := in.Decode(&a); err != nil {
			break
		}
		p.mu.Lock()
		if ch := p.waiting[a.Seq]; ch != nil {
			delete(p.waiting, a.Seq)
			ch <- a
		}
		p.mu.Unlock()
	}
	_ = stdout.Close()
	<-reaped
	_ = p.stdin.Close() // which also ends a write under way
	p.mu.Lock()
	p.ended = true
	for seq, ch := range p.waiting {
		delete(p.waiting, seq)
		close(ch)
	}
	p.mu.Unlock()
	close(p.gone)
}

// call has the client make a call. Without an answer it is errDied.
func (p *process) call(r request) (answer, error) {
	ch := make(chan answer, 1)
	p.mu.Lock()
	if p.ended {
		p.mu.Unlock()
		return answer{}, errDied
	}
	p.seq++
	r.Seq = p.seq
	p.waiting[r.Seq] = ch
	err := p.out.Encode(r)
	p.mu.Unlock()
	if err != nil {
		<-p.gone
		return answer{}, errDied
	}
	a, ok := <-ch
	if !ok {
		return answer{}, errDied
	}
	return a, nil
}

func (p *process) kill() error {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("killing a client: %w", err)
	}
	<-p.gone
	return nil
}

// stop ends it once it has closed its store.
func (p *process) stop() error {
	_ = p.stdin.Close()
	select {
	case <-p.gone:
		return nil
	case <-time.After(patience):
		return p.kill()
	}
}

func (p *process) pid() int { return p.cmd.Process.Pid }

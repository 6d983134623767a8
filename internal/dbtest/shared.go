package dbtest

import (
	"fmt"
	"os"
	"sync"
)

// servers are all those that this process started and has not stopped, and the shared one of each kind.
var servers = struct {
	sync.Mutex
	all    map[*Server]bool
	shared map[string]*sharedStart
}{all: map[*Server]bool{}, shared: map[string]*sharedStart{}}

// sharedStart is the start, maybe under way, of a server that tests share.
type sharedStart struct {
	once   sync.Once
	server *Server
	err    error
}

// sharedServer starts the shared server of a kind at the first call. A start that failed is not tried again: every
// test that needs it says the same.
func sharedServer(k Kind) (*Server, error) {
	servers.Lock()
	start := servers.shared[k.Name]
	if start == nil {
		start = &sharedStart{}
		servers.shared[k.Name] = start
	}
	servers.Unlock()
	start.once.Do(func() { start.server, start.err = Start(k) })
	return start.server, start.err
}

func register(s *Server) {
	servers.Lock()
	defer servers.Unlock()
	servers.all[s] = true
}

func unregister(s *Server) {
	servers.Lock()
	defer servers.Unlock()
	delete(servers.all, s)
}

// StopAll stops every server of this process and returns when nothing of them is left: no process, folder or
// goroutine. It is for the time after the tests; Main and Runner do it.
func StopAll() error {
	servers.Lock()
	all := make([]*Server, 0, len(servers.all))
	for s := range servers.all {
		all = append(all, s)
	}
	clear(servers.shared)
	servers.Unlock()

	var first error
	for _, s := range all {
		if err := s.Stop(); err != nil && first == nil {
			first = fmt.Errorf("stopping %s: %w", s.Kind.Name, err)
		}
	}
	return first
}

// TestingM is what of testing.M is used here.
type TestingM interface{ Run() int }

// Runner wraps m: its Run runs the tests and then stops the servers.
func Runner(m TestingM) TestingM { return runner{m} }

type runner struct{ tests TestingM }

func (r runner) Run() int {
	code := r.tests.Run()
	if err := StopAll(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	return code
}

// Main is the whole of a TestMain: it runs the tests, stops the servers and exits.
func Main(m TestingM) { os.Exit(Runner(m).Run()) }

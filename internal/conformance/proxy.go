package conformance

import (
	"net"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
)

// proxy stands between a store and its server, and can take an answer away in the worst moment: when the server has done what it was asked, and
// before the store hears of it.
type proxy struct {
	listener net.Listener
	server   string
	wg       sync.WaitGroup

	mu    sync.Mutex
	left  int  // requests until the one whose answer is taken; 0: none is
	cut   bool // and its connection is cut; else it stays open, and is silent
	gate  *gate
	links map[*link]bool
}

// link is one connection, through the proxy.
type link struct {
	client, server net.Conn
	cut, silent    atomic.Bool
	gate           atomic.Pointer[gate] // its next answer is held
}

// through opens a store behind a proxy.
func (e *env) through(change ...func(*entsession.Config)) (*entsession.Store, *proxy) {
	e.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(e, err)
	p := &proxy{listener: listener, server: net.JoinHostPort(e.db.Host, strconv.Itoa(e.db.Port)), links: map[*link]bool{}}
	e.Cleanup(func() { // after the store was closed
		require.NoError(e, listener.Close())
		p.sever()
		p.wg.Wait()
	})
	p.wg.Go(p.accept)
	return e.open(append(change, func(c *entsession.Config) {
		c.Hostname, c.Port = "127.0.0.1", listener.Addr().(*net.TCPAddr).Port
	})...), p
}

// takeAnswer takes the answer to the nth request from now on, and cuts its connection or leaves it silent.
func (p *proxy) takeAnswer(n int, cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left, p.cut = n, cut
}

// takeNone ends that. It tells whether an answer was taken.
func (p *proxy) takeNone() (taken bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	taken, p.left = p.left == 0, 0
	return taken
}

// sever cuts every connection at once. The server notices when it has something to say.
func (p *proxy) sever() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.close()
	}
}

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		l := &link{client: client, server: server}
		p.mu.Lock()
		p.links[l] = true
		p.mu.Unlock()
		p.wg.Go(func() { l.requests(p) })
		p.wg.Go(l.answers)
	}
}

func (l *link) close() { _, _ = l.client.Close(), l.server.Close() }

// requests passes on what the client sends. It waits for each answer, so that a piece of it is a request.
func (l *link) requests(p *proxy) {
	defer func() {
		l.close()
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.links, l)
	}()
	buffer := make([]byte, 64<<10)
	for {
		n, err := l.client.Read(buffer)
		if err != nil {
			return
		}
		if n == 16 && string(buffer[4:8]) == "\x04\xd2\x16\x2e" {
			return // PostgreSQL's request to cancel a statement: lost like the connection that it is about
		}
		p.mu.Lock()
		if p.left > 0 {
			if p.left--; p.left == 0 {
				l.cut.Store(p.cut)
				l.silent.Store(!p.cut)
			}
		}
		held := p.gate.next()
		p.mu.Unlock()
		if held != nil && held.answer {
			l.gate.Store(held)
		} else {
			held.wait()
		}
		if _, err := l.server.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// answers passes on what the server says.
func (l *link) answers() {
	defer l.close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := l.server.Read(buffer)
		if err != nil || l.cut.Load() {
			return
		}
		if l.silent.Load() {
			continue
		}
		l.gate.Swap(nil).wait()
		if _, err := l.client.Write(buffer[:n]); err != nil {
			return
		}
	}
}

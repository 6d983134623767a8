package torture

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Proxy stands between clients and a server, and does to their connections what networks do. It is our own, and small, as the
// well-known ones don't know what a request and its answer are, which is what most bugs are between; and a dependency of this module is one of
// everybody who uses it.
type Proxy struct {
	listener net.Listener
	wg       sync.WaitGroup
	trouble  atomic.Pointer[Trouble] // never nil

	mu     sync.Mutex
	server string
	closed bool
	links  map[*link]bool
	change chan struct{} // closed, and replaced, when the trouble changes
}

// Trouble is what a proxy does to the bytes that pass it. Its zero value passes them on.
type Trouble struct {
	// Latency is added to every piece in each direction, and up to Jitter on top.
	Latency, Jitter time.Duration
	// Bandwidth, in bytes per second of a connection and direction, 0 is no limit.
	Bandwidth int
	// Hold keeps all bytes back until the trouble is over, as a network does that loses packets: nothing is lost in the end.
	Hold bool
	// Swallow loses all bytes. A connection that has lost some is reset when the trouble is over.
	Swallow bool
	// Refuse resets new connections at once.
	Refuse bool
	// TakeAnswer is the chance that a request is passed on and its connection reset in place of an answer.
	TakeAnswer float64
	// Tear is the chance that a piece is passed on in part, and its connection reset.
	Tear float64
}

// NewProxy listens on a free port of 127.0.0.1 and connects to a server, such as "127.0.0.1:5432", for each of its clients.
func NewProxy(server string) (*Proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting a proxy: %w", err)
	}
	p := &Proxy{listener: listener, server: server, links: map[*link]bool{}, change: make(chan struct{})}
	p.trouble.Store(&Trouble{})
	p.wg.Go(p.accept)
	return p, nil
}

// Host and Port are where clients connect.
func (p *Proxy) Host() string { return "127.0.0.1" }

// Port is the TCP port.
func (p *Proxy) Port() int { return p.listener.Addr().(*net.TCPAddr).Port }

// Move sends new connections to another server. Reset ends the old ones.
func (p *Proxy) Move(server string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.server = server
}

// Disturb begins a trouble, in the place of the one before.
func (p *Proxy) Disturb(t Trouble) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trouble.Store(&t)
	close(p.change)
	p.change = make(chan struct{})
	for l := range p.links {
		if l.lost.Load() && !t.Swallow || l.taken.Load() && t.TakeAnswer == 0 {
			l.reset() // nothing of a trouble comes after its end
		}
	}
}

// Calm ends the trouble.
func (p *Proxy) Calm() { p.Disturb(Trouble{}) }

// Reset ends every connection at once, on both sides, with an RST.
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.reset()
	}
}

// Close ends the proxy and its connections.
func (p *Proxy) Close() error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil
	}
	p.closed = true
	p.mu.Unlock()
	err := p.listener.Close()
	p.Calm()
	p.Reset()
	p.wg.Wait()
	if err != nil {
		return fmt.Errorf("closing a proxy: %w", err)
	}
	return nil
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() { p.connect(client.(*net.TCPConn)) })
	}
}

func (p *Proxy) connect(client *net.TCPConn) {
	p.mu.Lock()
	address := p.server
	p.mu.Unlock()
	l := &link{proxy: p, client: client, done: make(chan struct{})}
	if p.trouble.Load().Refuse {
		l.reset()
		return
	}
	server, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		l.reset() // as the server itself would have refused
		return
	}
	l.server = server.(*net.TCPConn)
	p.mu.Lock()
	p.links[l] = true
	over := p.closed
	p.mu.Unlock()
	if over {
		l.reset()
	}
	p.wg.Go(func() { l.pass(l.server, l.client, true) })
	l.pass(l.client, l.server, false)
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.links, l)
}

// now returns the trouble, and a channel that is closed when there is another.
func (p *Proxy) current() (Trouble, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return *p.trouble.Load(), p.change
}

// link is one connection through a proxy.
type link struct {
	proxy          *Proxy
	client, server *net.TCPConn
	once           sync.Once
	done           chan struct{}
	lost           atomic.Bool // bytes of it were swallowed
	taken          atomic.Bool // its next answer is taken away
}

// reset ends both sides with an RST, which loses what is under way.
func (l *link) reset() { l.end(true) }

func (l *link) end(abruptly bool) {
	l.once.Do(func() {
		close(l.done)
		for _, c := range []*net.TCPConn{l.client, l.server} {
			if c == nil {
				continue
			}
			if abruptly {
				_ = c.SetLinger(0)
			}
			_ = c.Close()
		}
	})
}

// pass passes on what one side says, piece by piece. A piece of the client's is a request, more or less, as it waits for the answer.
func (l *link) pass(to, from *net.TCPConn, request bool) {
	defer l.end(false)
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		piece := buffer[:n]
		t, changed := l.proxy.current()
		for t.Hold {
			select {
			case <-changed:
				t, changed = l.proxy.current()
			case <-l.done:
				return
			}
		}
		if !request && l.taken.Load() {
			l.reset()
			return
		}
		if t.Swallow {
			l.lost.Store(true)
			if now, _ := l.proxy.current(); !now.Swallow { // it has just ended
				l.reset()
				return
			}
			continue
		}
		if l.lost.Load() {
			continue // what follows a gap is nothing to pass on
		}
		if !l.wait(t, n) {
			return
		}
		if t.Tear > 0 && n > 1 && rand.Float64() < t.Tear {
			_, _ = to.Write(piece[:1+rand.IntN(n-1)])
			l.end(rand.IntN(2) == 0)
			return
		}
		if request && t.TakeAnswer > 0 && rand.Float64() < t.TakeAnswer {
			l.taken.Store(true)
		}
		if _, err := to.Write(piece); err != nil {
			return
		}
	}
}

// wait is the time that a piece takes.
func (l *link) wait(t Trouble, n int) bool {
	d := t.Latency
	if t.Jitter > 0 {
		d += rand.N(t.Jitter)
	}
	if t.Bandwidth > 0 {
		d += time.Duration(n) * time.Second / time.Duration(t.Bandwidth)
	}
	if d == 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-l.done:
		return false
	}
}

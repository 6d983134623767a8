package guard_test

import (
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// proxy stands between a pool and its server, counts what the pool sends, and can swallow it or cut the line.
type proxy struct {
	port int
	sent atomic.Int64 // bytes from the pool to the server
	mute atomic.Bool  // what comes is swallowed
	shut atomic.Bool  // who comes is sent away
	came atomic.Int64 // connections

	listener net.Listener
	mu       sync.Mutex
	conns    []net.Conn
	done     sync.WaitGroup
}

func newProxy(t *testing.T, host string, port int) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{port: listener.Addr().(*net.TCPAddr).Port, listener: listener}
	p.done.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			p.came.Add(1)
			if p.shut.Load() {
				_ = client.Close()
				continue
			}
			server, err := net.Dial("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
			if err != nil {
				_ = client.Close()
				continue
			}
			p.mu.Lock()
			p.conns = append(p.conns, client, server)
			p.mu.Unlock()
			p.done.Go(func() { p.carry(server, client, &p.sent) })
			p.done.Go(func() { p.carry(client, server, new(atomic.Int64)) })
		}
	})
	t.Cleanup(func() {
		p.down()
		p.done.Wait()
	})
	return p
}

func (p *proxy) carry(to io.WriteCloser, from io.ReadCloser, count *atomic.Int64) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		count.Add(int64(n))
		if err == nil && !p.mute.Load() {
			_, err = to.Write(buf[:n])
		}
		if err != nil {
			_ = to.Close()
			_ = from.Close()
			return
		}
	}
}

// cut breaks every connection, as a network does: nobody says goodbye.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.conns = nil
}

// down cuts it for good: nobody gets through to cancel anything either.
func (p *proxy) down() {
	_ = p.listener.Close()
	p.cut()
}

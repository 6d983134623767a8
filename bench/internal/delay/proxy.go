// Package delay is a TCP proxy that makes a loopback connection as slow as a network: every chunk of bytes is forwarded a
// fixed time after it arrived, in both directions, however many others are on the way. It limits neither the number of
// connections nor their bandwidth.
//
// It is one event loop on epoll. Go's own timers are of no use here: an idle program sleeps in whole milliseconds, and
// the delay is half a millisecond.
//
// proxy.go starts and ends it, loop.go is the loop, conn.go what it does with one connection.
package delay

import (
	"fmt"
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Proxy forwards connections.
type Proxy struct {
	Addr string // where it listens, host:port

	loop *loop
	done sync.WaitGroup
}

// Start listens on a free port of 127.0.0.1 and connects whoever comes to the target, a Unix socket or a TCP address
// (network as in net.Dial). Each way takes delay longer.
func Start(network, target string, delay time.Duration) (*Proxy, error) {
	to, err := sockaddr(network, target)
	if err != nil {
		return nil, fmt.Errorf("starting a delaying proxy: %w", err)
	}
	l, err := newLoop(to, delay)
	if err != nil {
		return nil, fmt.Errorf("starting a delaying proxy: %w", err)
	}
	port, err := l.listen()
	if err != nil {
		l.free()
		return nil, fmt.Errorf("starting a delaying proxy: %w", err)
	}
	p := &Proxy{Addr: fmt.Sprintf("127.0.0.1:%d", port), loop: l}
	p.done.Go(l.run)
	return p, nil
}

// Close cuts all connections and returns when the proxy has ended.
func (p *Proxy) Close() error {
	if _, err := unix.Write(p.loop.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0}); err != nil {
		return fmt.Errorf("ending a delaying proxy: %w", err)
	}
	p.done.Wait()
	return nil
}

func sockaddr(network, target string) (unix.Sockaddr, error) {
	if network == "unix" {
		return &unix.SockaddrUnix{Name: target}, nil
	}
	addr, err := net.ResolveTCPAddr(network, target)
	if err != nil {
		return nil, err
	}
	ip := addr.IP.To4()
	if ip == nil {
		return nil, fmt.Errorf("%s is no IPv4 address", target)
	}
	return &unix.SockaddrInet4{Port: addr.Port, Addr: [4]byte(ip)}, nil
}

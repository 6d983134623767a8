package delay

import (
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// roof is how many bytes may be on the way to one side before its peer is no longer read. It is far above what a
// delay of milliseconds can hold, and only keeps the memory bounded when a receiver stops reading.
const roof = 16 << 20

// side is one end of a connection.
type side struct {
	fd     int
	peer   *side
	ahead  int     // bytes on the way to it
	late   []chunk // due, but its socket was full
	deaf   bool    // not read: too much is on the way, or it has closed its direction
	closed bool    // it has closed its direction
	ended  bool    // its peer's end has been passed on to it, or it takes nothing any more
	gone   bool    // it has hung up: no longer watched
}

func (l *loop) accept() {
	for {
		fd, _, err := unix.Accept4(l.door, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
		if err != nil {
			return
		}
		peer, err := l.dial()
		if err != nil {
			unix.Close(fd)
			continue
		}
		a, b := &side{fd: fd}, &side{fd: peer}
		a.peer, b.peer = b, a
		for _, s := range []*side{a, b} {
			_ = unix.SetsockoptInt(s.fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) // a Unix socket has none
			l.sides[s.fd] = s
			l.listenTo(s, unix.EPOLL_CTL_ADD)
		}
	}
}

// dial connects at once or not at all: the target is on this machine.
func (l *loop) dial() (int, error) {
	family := unix.AF_INET
	if _, ok := l.target.(*unix.SockaddrUnix); ok {
		family = unix.AF_UNIX
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err = unix.Connect(fd, l.target); err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func (l *loop) listenTo(s *side, op int) {
	if s.gone {
		return
	}
	var events uint32
	if !s.deaf {
		events |= unix.EPOLLIN
	}
	if len(s.late) > 0 {
		events |= unix.EPOLLOUT
	}
	if l.watch(op, s.fd, events) != nil {
		l.cut(s)
	}
}

// read takes what has arrived. A broken connection is an end like any other: what came before it is still delivered.
func (l *loop) read(s *side) {
	if s.closed { // it hung up, which epoll reports whether it is asked to or not
		s.gone = true
		_ = l.watch(unix.EPOLL_CTL_DEL, s.fd, 0)
		return
	}
	n, err := unix.Read(s.fd, l.buffer)
	if err == unix.EAGAIN || err == unix.EINTR {
		return
	}
	c := chunk{to: s.peer, due: time.Since(l.started) + l.delay, end: n <= 0}
	if c.end {
		s.closed = true
	} else {
		c.data = slices.Clone(l.buffer[:n])
		s.peer.ahead += n
	}
	l.way = append(l.way, c)
	if s.closed || s.peer.ahead > roof {
		s.deaf = true
		l.listenTo(s, unix.EPOLL_CTL_MOD)
	}
}

func (l *loop) deliver(c chunk) {
	s := c.to
	if l.sides[s.fd] != s {
		return // cut meanwhile
	}
	s.late = append(s.late, c)
	if len(s.late) == 1 {
		l.flush(s)
	}
}

// flush writes what is due, as far as the socket takes it.
func (l *loop) flush(s *side) {
	for len(s.late) > 0 {
		c := &s.late[0]
		for len(c.data) > 0 {
			n, err := unix.Write(s.fd, c.data)
			if err == unix.EINTR {
				continue
			}
			if err == unix.EAGAIN {
				l.listenTo(s, unix.EPOLL_CTL_MOD)
				return
			}
			if err != nil {
				n, s.ended = len(c.data), true // nobody reads it any more
			}
			c.data = c.data[n:]
			s.ahead -= n
		}
		if c.end {
			s.ended = true
			_ = unix.Shutdown(s.fd, unix.SHUT_WR)
		}
		s.late = s.late[1:]
	}
	s.late = nil
	if s.ended && s.peer.ended {
		l.cut(s)
		return
	}
	if p := s.peer; p.deaf && !p.closed && s.ahead < roof/2 {
		p.deaf = false
		l.listenTo(p, unix.EPOLL_CTL_MOD)
	}
	l.listenTo(s, unix.EPOLL_CTL_MOD)
}

// cut closes both sides.
func (l *loop) cut(s *side) {
	for _, s := range []*side{s, s.peer} {
		if l.sides[s.fd] == s {
			delete(l.sides, s.fd)
			unix.Close(s.fd)
		}
	}
}

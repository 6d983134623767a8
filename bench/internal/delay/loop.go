package delay

import (
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// loop is the event loop. Only its own goroutine touches it.
type loop struct {
	target  unix.Sockaddr
	delay   time.Duration
	epoll   int
	timer   int // readable when the oldest chunk is due
	wake    int // an eventfd: readable when the proxy is to end
	door    int // the listening socket
	sides   map[int]*side
	way     []chunk // what is on the way, oldest first, which is due first: the delay is the same for all
	armed   bool    // the timer is set
	started time.Time
	buffer  []byte
}

// chunk is what one read gave.
type chunk struct {
	to   *side
	due  time.Duration // since the start
	data []byte
	end  bool // the sender has closed its direction
}

func newLoop(target unix.Sockaddr, delay time.Duration) (*loop, error) {
	l := &loop{
		target: target, delay: delay, epoll: -1, timer: -1, wake: -1, door: -1,
		sides: map[int]*side{}, started: time.Now(), buffer: make([]byte, 256<<10),
	}
	var err error
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	if l.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK); err != nil {
		l.free()
		return nil, fmt.Errorf("timer: %w", err)
	}
	if l.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		l.free()
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	return l, nil
}

func (l *loop) listen() (port int, err error) {
	if l.door, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0); err != nil {
		return 0, fmt.Errorf("socket: %w", err)
	}
	if err := unix.Bind(l.door, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return 0, fmt.Errorf("bind: %w", err)
	}
	if err := unix.Listen(l.door, 1024); err != nil {
		return 0, fmt.Errorf("listen: %w", err)
	}
	for _, fd := range []int{l.door, l.timer, l.wake} {
		if err := l.watch(unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN); err != nil {
			return 0, fmt.Errorf("epoll: %w", err)
		}
	}
	name, err := unix.Getsockname(l.door)
	if err != nil {
		return 0, fmt.Errorf("getsockname: %w", err)
	}
	return name.(*unix.SockaddrInet4).Port, nil
}

func (l *loop) watch(op, fd int, events uint32) error {
	return unix.EpollCtl(l.epoll, op, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
}

func (l *loop) run() {
	runtime.LockOSThread() // it sleeps in system calls: a thread of its own wakes soonest
	defer runtime.UnlockOSThread()
	defer l.free()
	events := make([]unix.EpollEvent, 256)
	for {
		n, err := unix.EpollWait(l.epoll, events, -1)
		if err != nil && err != unix.EINTR {
			return
		}
		for _, e := range events[:max(n, 0)] {
			switch fd := int(e.Fd); fd {
			case l.wake:
				return
			case l.timer:
				l.armed = false
				var expirations [8]byte
				_, _ = unix.Read(l.timer, expirations[:])
			case l.door:
				l.accept()
			default:
				l.serve(fd, e.Events)
			}
		}
		l.forward()
	}
}

func (l *loop) serve(fd int, events uint32) {
	if s := l.sides[fd]; s != nil && events&unix.EPOLLOUT != 0 {
		l.flush(s)
	}
	if s := l.sides[fd]; s != nil && events&(unix.EPOLLIN|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		l.read(s)
	}
}

// forward delivers what is due and sets the timer for what is not.
func (l *loop) forward() {
	now := time.Since(l.started)
	n := 0
	for ; n < len(l.way) && l.way[n].due <= now; n++ {
		l.deliver(l.way[n])
		l.way[n] = chunk{}
	}
	l.way = l.way[n:]
	if len(l.way) == 0 || l.armed {
		return
	}
	wait := max(l.way[0].due-time.Since(l.started), 1)
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(wait.Nanoseconds())}
	l.armed = unix.TimerfdSettime(l.timer, 0, &spec, nil) == nil
}

func (l *loop) free() {
	for fd := range l.sides {
		unix.Close(fd)
	}
	for _, fd := range []int{l.door, l.timer, l.wake, l.epoll} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

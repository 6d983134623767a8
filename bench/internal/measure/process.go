package measure

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// process is what this process has used since it began.
type process struct {
	cpu    time.Duration // user and system, of all threads
	allocs uint64
	bytes  uint64
}

// now stops the world for some microseconds, which runtime/metrics would not, but that counts small objects only when
// a span is full: too coarse for a round of a thousand calls.
func now() process {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	p := process{allocs: m.Mallocs, bytes: m.TotalAlloc}
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) == nil {
		p.cpu = time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return p
}

func (p process) since(before process) process {
	return process{cpu: p.cpu - before.cpu, allocs: p.allocs - before.allocs, bytes: p.bytes - before.bytes}
}

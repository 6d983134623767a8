package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
)

// profile records the turns of one store.
type profile struct {
	cpu, mem *os.File
}

func startProfile(o options) (*profile, error) {
	p := &profile{}
	var err error
	if o.memProfile != "" {
		runtime.MemProfileRate = 4096 // before anything of interest is allocated
		if p.mem, err = os.Create(o.memProfile); err != nil {
			return nil, fmt.Errorf("profiling: %w", err)
		}
	}
	if o.cpuProfile != "" {
		if p.cpu, err = os.Create(o.cpuProfile); err != nil {
			return nil, fmt.Errorf("profiling: %w", err)
		}
		if err := pprof.StartCPUProfile(p.cpu); err != nil {
			return nil, fmt.Errorf("profiling: %w", err)
		}
	}
	return p, nil
}

func (p *profile) stop() error {
	if p.cpu != nil {
		pprof.StopCPUProfile()
		if err := p.cpu.Close(); err != nil {
			return fmt.Errorf("profiling: %w", err)
		}
	}
	if p.mem != nil {
		if err := pprof.Lookup("allocs").WriteTo(p.mem, 0); err != nil {
			return fmt.Errorf("profiling: %w", err)
		}
		return p.mem.Close()
	}
	return nil
}

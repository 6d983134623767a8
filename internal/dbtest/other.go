//go:build !linux

package dbtest

import (
	"fmt"
	"os"
	"runtime"
)

// Elsewhere only SQLite is tested: the death signal that keeps servers from outliving the tests is Linux's.
var errElsewhere = fmt.Errorf("private servers need Linux, not %s: %w", runtime.GOOS, ErrMissing)

type tempDir struct{ root, path string }

func newTempDir() (*tempDir, error)                       { return nil, errElsewhere }
func (d *tempDir) remove() error                          { return nil }
func (d *tempDir) secretFile(_, _ string) (string, error) { return "", errElsewhere }
func (d *tempDir) run([]string) error                     { return errElsewhere }
func (d *tempDir) folder(string) error                    { return errElsewhere }
func (d *tempDir) output([]string) ([]byte, error)        { return nil, errElsewhere }

type process struct {
	pid  int
	done chan struct{}
}

func startProcess([]string, string, os.Signal) (*process, error) { return nil, errElsewhere }
func (p *process) state() string                                 { return "" }
func (p *process) signal(os.Signal) error                        { return errElsewhere }
func (p *process) end(os.Signal) error                           { return errElsewhere }
func (p *process) kill() error                                   { return errElsewhere }
func (p *process) pause() ([]int, error)                         { return nil, errElsewhere }
func (p *process) resume() error                                 { return errElsewhere }

func removeSharedMemory(string) {}

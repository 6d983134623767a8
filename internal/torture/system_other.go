//go:build !linux

package torture

import (
	"errors"
	"os/exec"
	"time"
)

// Elsewhere a campaign runs on SQLite, without the faults that need Linux.
var errElsewhere = errors.New("it takes Linux")

// now is in nanoseconds. All processes of the machine share the clock; nobody should set it meanwhile.
func now() int64 { return time.Now().UnixNano() }

func runDelay() time.Duration { return 0 }

func diesWithUs(*exec.Cmd) {}

func freeze(int) error { return errElsewhere }
func thaw(int) error   { return errElsewhere }

func smallDisk(string, int64) (func() error, error) { return nil, errElsewhere }

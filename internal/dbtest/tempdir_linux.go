package dbtest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

// tempDir holds all files of one server. A test process that is killed leaves it behind; the next one removes it,
// which the lock tells it that it may.
type tempDir struct {
	root string   // ours, with the log and the lock
	path string   // the server's: data, socket
	lock *os.File // locked as long as the folder is in use; the kernel unlocks it when the process dies
}

const (
	tempPrefix = "entsession-test-"
	lockName   = "lock"
)

func newTempDir() (d *tempDir, err error) {
	base := tempBase()
	sweepOnce(base)
	d = &tempDir{}
	if d.root, err = os.MkdirTemp(base, tempPrefix); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = d.remove()
		}
	}()
	if err := d.takeLock(); err != nil {
		return nil, err
	}
	if err := os.Chmod(d.root, 0o711); err != nil { // the server's user passes through
		return nil, err
	}
	d.path = filepath.Join(d.root, "s")
	if err := os.Mkdir(d.path, 0o700); err != nil {
		return nil, err
	}
	return d, giveAway(d.path)
}

// takeLock locks the file before it gets its name, or a sweep could find it unlocked.
func (d *tempDir) takeLock() error {
	lock, err := os.CreateTemp(d.root, "unlocked-")
	if err != nil {
		return err
	}
	d.lock = lock
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return err
	}
	return os.Rename(lock.Name(), filepath.Join(d.root, lockName))
}

func (d *tempDir) remove() error {
	err := os.RemoveAll(d.root)
	if d.lock != nil {
		err = errors.Join(err, d.lock.Close())
	}
	return err
}

// secretFile writes a file that only the server's user can read.
func (d *tempDir) secretFile(name, content string) (path string, err error) {
	path = filepath.Join(d.path, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		return "", err
	}
	return path, giveAway(path)
}

// folder makes a folder that is the server's user's.
func (d *tempDir) folder(name string) error {
	path := filepath.Join(d.path, name)
	if err := os.Mkdir(path, 0o700); err != nil {
		return err
	}
	return giveAway(path)
}

// run runs a program that prepares the folder.
func (d *tempDir) run(args []string) error {
	if out, err := d.output(args); err != nil {
		return fmt.Errorf("running %s: %w\n%s", args[0], err, tail(string(out), 4000))
	}
	return nil
}

// output is what a program says that works in the folder.
func (d *tempDir) output(args []string) ([]byte, error) {
	cmd := command(args)
	cmd.Dir = d.path
	return cmd.CombinedOutput()
}

// giveAway makes a file the server's user's.
func giveAway(path string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	return os.Chown(path, nobody, nobody)
}

// tempBase is the folder for temporary files, or /tmp when the path of a socket in it would be longer than sockets
// allow (107 bytes), or the server's user could not reach it.
func tempBase() string {
	base := os.TempDir()
	if len(base) > 60 || !reachable(base) {
		return "/tmp"
	}
	return base
}

var swept sync.Map

// sweepOnce removes, once per process, what test processes that are no more have left in base.
func sweepOnce(base string) {
	if _, done := swept.LoadOrStore(base, true); done {
		return
	}
	dirs, _ := filepath.Glob(filepath.Join(base, tempPrefix+"*"))
	for _, dir := range dirs {
		sweep(dir)
	}
}

func sweep(dir string) {
	info, err := os.Lstat(dir)
	if err != nil || !info.IsDir() || info.Sys().(*syscall.Stat_t).Uid != uint32(os.Geteuid()) {
		return
	}
	lock, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return
	}
	defer lock.Close()
	if syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
		_ = os.RemoveAll(dir) // what resists is the next sweep's
	}
}

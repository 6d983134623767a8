package dbtest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// kill ends the process and its descendants and returns when all are gone: one that lingers would keep the server from
// being started again on the same data.
func (p *process) kill() error {
	tree, err := p.pause() // so that nothing starts more of them
	if err != nil {
		return err
	}
	for _, pid := range tree {
		if err := send(pid, syscall.SIGKILL); err != nil {
			return err
		}
	}
	if err := p.signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.done
	return await(tree, gone, "gone")
}

// pause stops the process and its descendants where they are, and returns the descendants. It is for good only when
// this process lives on: when it dies, the kernel resumes the group of a server that it leaves behind.
func (p *process) pause() (tree []int, err error) {
	if err := p.signal(syscall.SIGSTOP); err != nil {
		return nil, err
	}
	// A descendant may have started another one before it stopped.
	for {
		all := descendantsOf(p.pid)
		if len(all) == len(tree) {
			break
		}
		tree = all
		for _, pid := range tree {
			if err := send(pid, syscall.SIGSTOP); err != nil {
				return nil, err
			}
		}
		if err := await(append([]int{p.pid}, tree...), stopped, "stopped"); err != nil {
			return nil, err
		}
	}
	return tree, nil
}

// resume lets everything run on that pause has stopped. The parent comes last, so that it finds its children able to
// answer.
func (p *process) resume() error {
	for _, pid := range slices.Backward(descendantsOf(p.pid)) {
		if err := send(pid, syscall.SIGCONT); err != nil {
			return err
		}
	}
	return p.signal(syscall.SIGCONT)
}

// send is for descendants, which are not ours to wait for and may end at any time.
func send(pid int, sig syscall.Signal) error {
	if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("sending %v to process %d: %w", sig, pid, err)
	}
	return nil
}

// await waits until all have come to a state.
func await(pids []int, is func(pid int) bool, state string) error {
	deadline := time.Now().Add(patience)
	for _, pid := range pids {
		for !is(pid) {
			if time.Now().After(deadline) {
				return fmt.Errorf("process %d is not %s after %v", pid, state, patience)
			}
			time.Sleep(time.Millisecond)
		}
	}
	return nil
}

// descendantsOf returns the children of a process, and theirs, parents before children.
func descendantsOf(ancestor int) []int {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	children := map[int][]int{}
	for _, stat := range stats {
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(stat)))
		if fields := procStat(pid); len(fields) > 1 {
			parent, _ := strconv.Atoi(fields[1])
			children[parent] = append(children[parent], pid)
		}
	}
	all := slices.Clone(children[ancestor])
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i]]...)
	}
	return all
}

// gone reports whether a process has ended; a zombie has, and holds nothing any more.
func gone(pid int) bool {
	fields := procStat(pid)
	return len(fields) == 0 || fields[0] == "Z" || fields[0] == "X"
}

// stopped reports whether a process does nothing until it is resumed.
func stopped(pid int) bool {
	fields := procStat(pid)
	return gone(pid) || fields[0] == "T"
}

// procStat returns the fields of /proc/pid/stat from the state on: state, parent, ... The name before them may contain
// anything, in parentheses.
func procStat(pid int) []string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	text := string(stat)
	return strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
}

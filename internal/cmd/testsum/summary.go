package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// event is a line of `go test -json`; see `go doc test2json`.
type event struct {
	Action     string
	Package    string
	ImportPath string // instead of Package, for the output of a build
	Test       string
	Output     string
}

// summary adds up the events.
type summary struct {
	out                     io.Writer
	passed, failed, skipped int

	builds   map[string]*strings.Builder // what the compiler said, by import path
	packages map[string]*pkg             // under way
}

// pkg is a package's test run that is under way.
type pkg struct {
	output strings.Builder             // of no test in particular: panics, leaks, the closing line
	tests  map[string]*strings.Builder // started, not ended
	paused map[string]bool             // of these, the parallel ones that wait for their turn
	failed int
}

func newSummary(out io.Writer) *summary {
	return &summary{out: out, builds: map[string]*strings.Builder{}, packages: map[string]*pkg{}}
}

func (s *summary) read(in io.Reader) error {
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			s.line(line)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// line takes one line. What is not JSON comes from the go command itself and is worth seeing.
func (s *summary) line(line []byte) {
	var e event
	if err := json.Unmarshal(line, &e); err != nil {
		fmt.Fprintf(s.out, "%s\n", bytes.TrimRight(line, "\r\n"))
		return
	}
	switch {
	case e.Action == "build-output":
		if s.builds[e.ImportPath] == nil {
			s.builds[e.ImportPath] = &strings.Builder{}
		}
		s.builds[e.ImportPath].WriteString(e.Output)
	case e.Action == "build-fail" || e.Package == "":
	case e.Test != "":
		s.test(e)
	default:
		s.pkg(e)
	}
}

func (s *summary) of(name string) *pkg {
	p := s.packages[name]
	if p == nil {
		p = &pkg{tests: map[string]*strings.Builder{}, paused: map[string]bool{}}
		s.packages[name] = p
	}
	return p
}

// test takes an event of one test.
func (s *summary) test(e event) {
	p := s.of(e.Package)
	text := p.tests[e.Test]
	if text == nil {
		text = &p.output // it has ended; whatever writes now is not that test any more
	}
	switch e.Action {
	case "run":
		p.tests[e.Test] = &strings.Builder{}
		return
	case "output":
		text.WriteString(e.Output)
		return
	case "pass":
		s.passed++
	case "skip":
		s.skipped++
		fmt.Fprintf(s.out, "--- SKIP: %s %s\n%s", e.Package, e.Test, reason(text.String()))
	case "fail":
		s.failed++
		p.failed++
		fmt.Fprintf(s.out, "--- FAIL: %s %s\n%s", e.Package, e.Test, text)
	case "pause", "cont":
		p.paused[e.Test] = e.Action == "pause"
		return
	default: // bench, attr, artifacts
		return
	}
	delete(p.tests, e.Test)
}

// pkg takes an event of a package.
func (s *summary) pkg(e event) {
	p := s.of(e.Package)
	switch e.Action {
	case "output":
		p.output.WriteString(e.Output)
		return
	case "pass":
		s.end(e.Package, p, true)
	case "skip": // it has no tests
		delete(s.packages, e.Package)
	case "fail":
		s.end(e.Package, p, false)
	}
}

// end closes a package. One that passed has no test without an end: that would be a test that stopped the process.
func (s *summary) end(name string, p *pkg, ok bool) {
	delete(s.packages, name)
	for _, test := range slices.Sorted(maps.Keys(p.tests)) {
		ok = false
		s.failed++
		p.failed++
		if p.paused[test] {
			fmt.Fprintf(s.out, "--- FAIL: %s %s did not get its turn\n", name, test)
		} else {
			fmt.Fprintf(s.out, "--- FAIL: %s %s did not end\n%s", name, test, p.tests[test])
		}
	}
	if ok {
		for line := range strings.Lines(p.output.String()) {
			if strings.HasPrefix(line, "ok ") {
				fmt.Fprint(s.out, line)
			}
		}
		return
	}
	if p.failed == 0 { // it failed as a whole
		s.failed++
	}
	fmt.Fprint(s.out, p.output.String())
	if !strings.Contains(p.output.String(), "FAIL\t"+name) {
		fmt.Fprintf(s.out, "FAIL\t%s\n", name)
	}
}

// finish closes what the input left open and prints what the compiler said.
func (s *summary) finish() {
	for _, name := range slices.Sorted(maps.Keys(s.packages)) {
		fmt.Fprintf(s.out, "%s did not finish\n", name)
		s.end(name, s.packages[name], false)
	}
	for _, path := range slices.Sorted(maps.Keys(s.builds)) {
		fmt.Fprint(s.out, s.builds[path])
	}
}

// reason leaves of a skipped test's output what it says itself.
func reason(text string) string {
	var kept strings.Builder
	for line := range strings.Lines(text) {
		if trimmed := strings.TrimSpace(line); !strings.HasPrefix(trimmed, "===") && !strings.HasPrefix(trimmed, "---") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

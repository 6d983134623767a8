// Command testsum reads the output of one or several `go test -json` runs and prints what matters of it: a line for
// each package, all output of what failed, the reason of each skip, and at the end
//
//	N passed, N failed, N skipped
//
// where tests and subtests count. A package that does not build, panics, times out, leaks or does not finish counts as
// a failure. The exit code is 1 when anything failed or nothing ran, and, with ENTSESSION_REQUIRE_SERVERS=1, when
// anything was skipped.
package main

import (
	"fmt"
	"io"
	"os"
)

func main() { os.Exit(run(os.Stdin, os.Stdout, os.Getenv("ENTSESSION_REQUIRE_SERVERS") == "1")) }

func run(in io.Reader, out io.Writer, skipsFail bool) int {
	s := newSummary(out)
	err := s.read(in)
	if err != nil {
		fmt.Fprintf(out, "reading the test output: %v\n", err)
	}
	s.finish()
	bad := err != nil || s.failed > 0
	if s.passed+s.failed == 0 {
		fmt.Fprintln(out, "no test ran")
		bad = true
	}
	if s.skipped > 0 && skipsFail {
		fmt.Fprintln(out, "skipping is a failure here: ENTSESSION_REQUIRE_SERVERS=1")
		bad = true
	}
	fmt.Fprintf(out, "%d passed, %d failed, %d skipped\n", s.passed, s.failed, s.skipped)
	if bad {
		return 1
	}
	return 0
}

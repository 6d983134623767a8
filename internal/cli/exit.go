package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/internal/fault"
	"github.com/entsession/entsession/internal/migrator"
)

// The exit codes, as the root command's help states them.
const (
	exitOK          = 0
	exitFailure     = 1
	exitUsage       = 2
	exitUnreachable = 3
	exitTable       = 4
	exitHandle      = 5
	exitSignal      = 128 // plus the signal's number, as shells have it
)

// codedError is an error with its exit code.
type codedError struct {
	code  int
	err   error
	lines bool // each line is a message of its own
}

func (e *codedError) Error() string { return e.err.Error() }
func (e *codedError) Unwrap() error { return e.err }

func usage(err error) error { return &codedError{code: exitUsage, err: err} }

// wrongConfig is what package config and Config.WithDefaults say: a line for each problem.
func wrongConfig(err error) error { return &codedError{code: exitUsage, err: err, lines: true} }

// timeoutError is why a context ended when --timeout was over.
type timeoutError struct{ after time.Duration }

func (e *timeoutError) Error() string { return fmt.Sprintf("gave up after %s (--timeout)", e.after) }

// signalError is why a context ended when the process was told to.
type signalError struct{ signal syscall.Signal }

func (e *signalError) Error() string {
	if e.signal == syscall.SIGINT {
		return "interrupted"
	}
	return "ended by signal: " + e.signal.String()
}

// writeError is output that got lost.
type writeError struct{ err error }

func (e *writeError) Error() string { return "writing the output: " + e.err.Error() }
func (e *writeError) Unwrap() error { return e.err }

// both is two errors as one; nil is none.
func both(a, b error) error {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return errors.Join(a, b)
}

// endedError is an error that came after the context had ended.
type endedError struct{ cause, err error }

func (e *endedError) Error() string {
	var timeout *timeoutError
	if errors.As(e.cause, &timeout) {
		return e.cause.Error() + ": " + strings.TrimPrefix(e.err.Error(), "entsession: ") // what was slow
	}
	return e.cause.Error()
}
func (e *endedError) Unwrap() error { return e.err }

// Interruptible returns a context that SIGINT and SIGTERM end; the second one ends the process at once. A closed pipe
// becomes an error of the write, so that the process ends in order.
func Interruptible(parent context.Context) context.Context {
	signal.Ignore(syscall.SIGPIPE)
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		s := <-signals
		signal.Stop(signals)
		number, _ := s.(syscall.Signal)
		cancel(&signalError{number})
	}()
	return ctx
}

// exitCode is the code of an error.
func exitCode(err error) int {
	var coded *codedError
	var ended *endedError
	var sig *signalError
	var connect *fault.ConnectError
	var column *entsession.ColumnError
	var exists *migrator.ExistsError
	var lost *writeError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &ended) && errors.As(ended.cause, &sig):
		return exitSignal + int(sig.signal)
	case errors.As(err, &coded):
		return coded.code
	case errors.As(err, &connect):
		return exitUnreachable
	case errors.As(err, &column):
		return exitUsage
	case errors.As(err, &exists), errors.Is(err, migrator.ErrAltered):
		return exitTable
	case errors.As(err, &lost): // of the output, not of a connection
		return exitFailure
	}
	switch fault.Of(err) {
	case fault.Lost, fault.NotSent:
		return exitUnreachable
	case fault.NoTable, fault.NoColumn:
		return exitTable
	}
	return exitFailure
}

// report writes an error and returns its exit code. A reader of the output that has gone away, as `head` does, has all
// it wanted: that is no error.
func (a *app) report(err error) int {
	if lost, ok := err.(*writeError); err == nil || ok && errors.Is(lost, syscall.EPIPE) {
		return exitOK
	}
	code := exitCode(err)
	lines := messages(err)
	if !a.json {
		for _, line := range lines {
			fmt.Fprintf(a.Err, "entsession: %s\n", line)
		}
		return code
	}
	e := json.NewEncoder(a.Err)
	e.SetEscapeHTML(false)
	_ = e.Encode(struct { // there is nowhere left to say that it can't be said
		Error    string `json:"error"`
		ExitCode int    `json:"exit_code"`
	}{strings.Join(lines, "\n"), code})
	return code
}

// messages are the lines that say what went wrong.
func messages(err error) []string {
	text := err.Error()
	var coded *codedError
	parts := []string{text}
	if errors.As(err, &coded) && coded.lines && coded.err.Error() == text {
		parts = strings.Split(text, "\n")
	}
	var lines []string
	for _, part := range parts {
		part = strings.Join(strings.Fields(part), " ")
		if part = strings.TrimPrefix(part, "entsession: "); part != "" {
			lines = append(lines, printable(credentials.ReplaceAllString(part, ":***@")))
		}
	}
	return lines
}

// credentials are what stands between a colon and an @ in a URL. No message should have them; this is for one that quotes
// what was typed in the wrong place.
var credentials = regexp.MustCompile(":[^\\s\"'`]*@")

// flagError words what pflag found. Its own text repeats a whole group of one-letter flags, which may be a password,
// as in -psecret.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		dashes := "--"
		if unknown.GetSpecifiedShortnames() != "" {
			dashes = "-"
		}
		err = fmt.Errorf("unknown flag: %s%s", dashes, unknown.GetSpecifiedName())
	}
	return fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())
}

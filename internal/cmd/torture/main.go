// Command torture runs the fault campaign on one database: client processes work on sessions while their database is killed, paused, cut
// off and filled up, and every answer is checked. It exits with 1 when a promise was broken, and with 2 when it could not do its work.
//
//	go run ./internal/cmd/torture -db postgres15 -for 30m
//
// It ends early, with its last look and its report, on an interrupt.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/entsession/entsession/internal/dbtest"
	"github.com/entsession/entsession/internal/torture"
)

func main() {
	torture.Child()
	os.Exit(run())
}

func run() int {
	var o torture.Options
	db := flag.String("db", "sqlite", "what to work on: "+strings.Join(torture.Names(), ", "))
	flag.DurationVar(&o.For, "for", time.Minute, "how long faults happen; 0: each fault once")
	flag.IntVar(&o.Clients, "clients", 3, "client processes")
	flag.IntVar(&o.Local, "local", 1, "stores in this process; -1: none")
	flag.IntVar(&o.Workers, "workers", 24, "callers at a time")
	flag.IntVar(&o.Sessions, "sessions", 200, "sessions that are worked on at a time")
	flag.DurationVar(&o.Think, "think", 20*time.Millisecond, "the longest that a caller waits between two calls")
	flag.Uint64Var(&o.Seed, "seed", rand.Uint64(), "draws the faults and the calls")
	faults := flag.String("faults", "", "the faults to inject, separated by commas (default all; -faults help lists them)")
	flag.StringVar(&o.Batching, "batching", "mixed", "on, off, or mixed: some stores so and some so")
	out := flag.String("out", "", "a file for the report, as JSON")
	flag.Parse()
	if flag.NArg() > 0 {
		return fail(fmt.Errorf("%q: there are no arguments, only flags; -h lists them", flag.Arg(0)))
	}
	target, err := torture.Open(*db)
	if err != nil {
		return fail(err)
	}
	code := campaign(target, o, *faults, *out)
	if err := target.Close(); err != nil {
		return fail(err)
	}
	if err := dbtest.StopAll(); err != nil {
		return fail(err)
	}
	return code
}

func campaign(target torture.Target, o torture.Options, faults, out string) int {
	if faults == "help" {
		fmt.Println(strings.Join(torture.FaultNames(target), "\n"))
		return 0
	}
	o.Target, o.Log, o.Stderr = target, os.Stdout, os.Stderr
	if faults != "" {
		for _, name := range strings.Split(faults, ",") {
			o.Faults = append(o.Faults, strings.TrimSpace(name))
		}
	}
	fmt.Printf("%s, seed %d\n", target.Name(), o.Seed)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second one ends it at once
	report, err := torture.Run(ctx, o)
	if report != nil {
		fmt.Println()
		report.Text(os.Stdout)
		if err := write(out, report.JSON); err != nil {
			return fail(err)
		}
	}
	switch {
	case err != nil:
		return fail(err)
	case len(report.Violations) > 0:
		return 1
	}
	return 0
}

func write(name string, to func(io.Writer) error) error {
	if name == "" {
		return nil
	}
	f, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	if err := to(f); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return f.Close()
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, "torture:", err)
	return 2
}

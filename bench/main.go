// Command bench compares this module's store with its peers, on private servers that it starts: see README.md.
//
// options.go are the flags, arena.go runs stores in turns, callers.go is what a caller does. Under internal/ are the
// stores and their servers, the measuring, the delaying proxy and what is written at the end.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/entsession/entsession/bench/internal/stores"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == stores.DelayCommand {
		exit(stores.ServeDelay(os.Args[2:]))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // whoever read the output is gone: no reason to leave servers behind
	o, err := parse(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(0)
	}
	if err == nil {
		err = run(ctx, o, os.Args[1:])
	}
	exit(err)
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

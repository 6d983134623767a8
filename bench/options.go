package main

import (
	"flag"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/entsession/entsession/bench/internal/measure"
	"github.com/entsession/entsession/bench/internal/stores"
)

// The operations.
const (
	opLoad = "load"
	opSave = "save"
	opMix  = "mix" // one save after every four loads
)

// options choose a part of the matrix and how it is run.
type options struct {
	blocks                 []block
	rounds, rows, conns    int
	window                 measure.Window
	peer                   string
	out                    string
	cpuProfile, memProfile string
}

const usage = `bench compares entsession's store with its peers, on private servers that it starts and ends.

  bench                                 a quick look
  bench -matrix targets                 what the table of targets needs
  bench -db postgres -op load -callers 64,256 -payload 512 -rounds 5 -round 1s -stores ours,scs
  bench -op load -callers 64 -stores ours -cpuprofile cpu.out

Flags with a comma take lists, and narrow the matrix or widen it. How long it takes is said at the start.

`

func parse(args []string, out io.Writer) (options, error) {
	var o options
	var b block
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(out)
	f.Usage = func() {
		fmt.Fprint(out, usage)
		f.PrintDefaults()
		fmt.Fprintln(out, "\nStores:")
		for _, c := range stores.All() {
			fmt.Fprintf(out, "  %-13s %s (%s)\n", c.Name, c.About, strings.Join(c.Kinds, ", "))
		}
	}
	about := ""
	for _, name := range matrixNames {
		about += "\n" + name + ": " + matrices[name].about
	}
	name := f.String("matrix", "quick", "what to measure where the other flags say nothing:"+about)
	words(f, &b.dbs, "db", "databases: postgres, mariadb, sqlite", stores.Postgres, stores.MariaDB, stores.SQLite)
	words(f, &b.ops, "op", "operations: load, save, mix (a save after every four loads)", allOps...)
	words(f, &b.stores, "stores", "stores, or all; see below", append(names(), "all")...)
	numbers(f, &b.callers, "callers", "goroutines that call at once, such as 1,8,64,256,1024")
	numbers(f, &b.payloads, "payload", "bytes of a session, such as 200,2048,32768")
	numbers(f, &b.delays, "net", "milliseconds of the network, there and back: 0 (a Unix socket) or 1 (a delaying proxy)")
	f.IntVar(&o.rounds, "rounds", 0, "rounds; in each, every store has one turn in the cell (default: the matrix's, 3 or 5)")
	f.DurationVar(&o.window.Length, "round", 0, "length of a turn (default: the matrix's, 0.5s or 1s)")
	f.DurationVar(&o.window.Warmup, "warmup", 200*time.Millisecond, "what comes before each turn and isn't counted")
	f.IntVar(&o.rows, "rows", 20000, "sessions in each table; fewer if they would be more than 64 MB")
	f.IntVar(&o.conns, "conns", 16, "connections that each store may have on a server")
	f.StringVar(&o.peer, "peer", "scs", "store with which the table compares the others")
	f.StringVar(&o.out, "out", "results", "folder for the results; it is made when it is missing")
	f.StringVar(&o.cpuProfile, "cpuprofile", "", "write a CPU profile to this file: for one store in one cell")
	f.StringVar(&o.memProfile, "memprofile", "", "write a profile of the allocations to this file, likewise")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("%q is no flag", f.Arg(0))
	}
	m, ok := matrices[*name]
	if !ok {
		return o, fmt.Errorf("-matrix %q is none of %s", *name, strings.Join(matrixNames, ", "))
	}
	if o.rounds == 0 {
		o.rounds = m.rounds
	}
	if o.window.Length == 0 {
		o.window.Length = m.round
	}
	if slices.Contains(b.stores, "all") {
		b.stores = names()
	}
	for _, of := range m.blocks {
		o.blocks = append(o.blocks, of.with(b))
	}
	return o, o.check()
}

// with puts what flags have given in the place of what the matrix has.
func (b block) with(given block) block {
	for _, f := range []struct{ to, from *[]string }{{&b.dbs, &given.dbs}, {&b.ops, &given.ops}, {&b.stores, &given.stores}} {
		if *f.from != nil {
			*f.to = *f.from
		}
	}
	for _, f := range []struct{ to, from *[]int }{{&b.callers, &given.callers}, {&b.payloads, &given.payloads}, {&b.delays, &given.delays}} {
		if *f.from != nil {
			*f.to = *f.from
		}
	}
	return b
}

func (o options) check() error {
	plan := o.plan()
	for _, m := range plan {
		if m.payload < stores.MinPayload {
			return fmt.Errorf("-payload %d is less than %d, which the change takes", m.payload, stores.MinPayload)
		}
		if m.net < 0 || m.net > 1 {
			return fmt.Errorf("-net %d is neither 0 nor 1", m.net)
		}
		for _, c := range m.cells {
			if c.callers < 1 {
				return fmt.Errorf("-callers %d is less than 1", c.callers)
			}
		}
	}
	if o.rounds < 1 || o.window.Length <= 0 || o.conns < 1 || o.rows < 1 || o.window.Warmup <= 0 {
		return fmt.Errorf("-rounds, -round, -warmup, -rows and -conns must be more than 0")
	}
	if o.turns(plan) == 0 {
		return fmt.Errorf("there is nothing to measure: none of the stores has such a database")
	}
	if o.profiled() && o.turns(plan) != o.rounds {
		return fmt.Errorf("-cpuprofile and -memprofile are for one store in one cell: give one -stores, -db, -op, -callers, -payload and -net")
	}
	return nil
}

func (o options) profiled() bool { return o.cpuProfile != "" || o.memProfile != "" }

// words is a flag of several words, separated by commas, each one of those known.
func words(f *flag.FlagSet, to *[]string, name, usage string, known ...string) {
	f.Func(name, usage, func(text string) error {
		*to = strings.Split(text, ",")
		for _, w := range *to {
			if !slices.Contains(known, w) {
				return fmt.Errorf("%q is none of %s", w, strings.Join(known, ", "))
			}
		}
		return nil
	})
}

// numbers is a flag of several numbers.
func numbers(f *flag.FlagSet, to *[]int, name, usage string) {
	f.Func(name, usage, func(text string) error {
		*to = nil
		for _, w := range strings.Split(text, ",") {
			n, err := strconv.Atoi(w)
			if err != nil {
				return fmt.Errorf("%q is no number", w)
			}
			*to = append(*to, n)
		}
		return nil
	})
}

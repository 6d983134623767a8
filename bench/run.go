package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/entsession/entsession/bench/internal/report"
	"github.com/entsession/entsession/bench/internal/stores"
)

// run measures what the options say and writes the results, those of an interrupted run too.
func run(ctx context.Context, o options, args []string) (err error) {
	plan := o.plan()
	servers, err := stores.NewServers(time.Millisecond)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, servers.Stop()) }()
	res, err := describe(o, args, servers)
	if err != nil {
		return err
	}
	fmt.Printf("%d turns of %v after %v of warm-up; about %v.\n",
		o.turns(plan), o.window.Length, o.window.Warmup, o.estimate(plan).Round(time.Second))

	p := newProgress(o.turns(plan))
	abandoned := 0
	for _, m := range plan {
		if err := runMatch(ctx, servers, o, m, res, p, &abandoned); err != nil {
			if ctx.Err() == nil {
				return err
			}
			res.Interrupted = true
			break
		}
	}
	p.clear()
	if len(res.Cells) > 0 {
		err = finish(o, res)
	}
	switch {
	case ctx.Err() != nil:
		return errors.Join(err, errors.New("interrupted"))
	case abandoned > 0:
		return errors.Join(err, fmt.Errorf("%d cells were abandoned because of errors", abandoned))
	}
	return err
}

func runMatch(ctx context.Context, servers *stores.Servers, o options, m *match, res *report.Result, p *progress, abandoned *int) (err error) {
	a, err := openArena(ctx, servers, o, m)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.close(ctx)) }()
	if err := noteServers(ctx, a, res); err != nil {
		return err
	}
	prof, err := startProfile(o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, prof.stop()) }()
	for i, c := range m.cells {
		got := a.cell(ctx, o, c, p)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if got.Error != "" {
			*abandoned++
		}
		res.Cells = append(res.Cells, got)
		p.clear()
		got.Terminal(os.Stdout, i == 0)
	}
	return nil
}

// finish writes the files and says where they are.
func finish(o options, res *report.Result) error {
	res.Took = time.Since(res.Began).Round(time.Second).String()
	files, err := res.Write(o.out)
	if err != nil {
		return err
	}
	reached, measured := res.Targets(io.Discard)
	fmt.Printf("\n%d of the %d targets measured here were reached. Written:\n", reached, measured)
	for _, f := range files {
		fmt.Println(" ", f)
	}
	return nil
}

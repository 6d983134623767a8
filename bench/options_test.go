package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func parsed(t *testing.T, args ...string) options {
	t.Helper()
	o, err := parse(args, &bytes.Buffer{})
	require.NoError(t, err)
	return o
}

func TestPlan(t *testing.T) {
	t.Parallel()
	quick := parsed(t)
	require.Less(t, quick.estimate(quick.plan()), time.Minute)

	one := parsed(t, "-op", "load", "-callers", "64", "-payload", "512", "-stores", "ours,scs", "-rounds", "2")
	require.Equal(t, []*match{{"postgres", 0, 512, []string{"ours", "scs"}, []cell{{64, "load", []string{"ours", "scs"}}}}}, one.plan())
	require.Equal(t, 4, one.turns(one.plan()))

	both := parsed(t, "-db", "sqlite,postgres", "-net", "0,1", "-stores", "ours,pgbench", "-callers", "8", "-op", "save")
	plan := both.plan()
	require.Len(t, plan, 3, "a file has no network")
	require.Equal(t, []string{"ours"}, plan[0].stores, "pgbench has no SQLite")

	// Blocks of a matrix that meet in a cell are one cell, with the stores of both.
	for _, m := range parsed(t, "-matrix", "targets", "-callers", "256", "-db", "postgres").plan() {
		want := []string{"ours", "scs", "scs-redis"}
		require.Len(t, m.cells, 3)
		require.Equal(t, m.net == 0, len(m.stores) == len(want))
		for _, c := range m.cells {
			require.Equal(t, want[:len(m.stores)], c.stores)
		}
	}
}

func TestWrongFlags(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		want string
		args []string
	}{
		{"none of", []string{"-db", "oracle"}},
		{"none of", []string{"-matrix", "huge"}},
		{"no number", []string{"-callers", "many"}},
		{"less than 1", []string{"-callers", "0"}},
		{"less than", []string{"-payload", "10"}},
		{"neither 0 nor 1", []string{"-net", "5"}},
		{"more than 0", []string{"-rounds", "-1"}},
		{"nothing to measure", []string{"-db", "sqlite", "-stores", "pgbench"}},
		{"one cell", []string{"-cpuprofile", "x"}},
		{"no flag", []string{"load"}},
	} {
		_, err := parse(c.args, &bytes.Buffer{})
		require.ErrorContains(t, err, c.want, "%q", c.args)
	}
	parsed(t, "-cpuprofile", "x", "-op", "load", "-callers", "8", "-stores", "ours")
}

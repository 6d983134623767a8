package stores

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/bench/internal/measure"
	"github.com/entsession/entsession/internal/dbtest"
)

// TestMain is the delaying proxy too, as the program's main is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == DelayCommand {
		if err := ServeDelay(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// need skips, or fails where servers must be there, when what a store needs is not installed.
func need(t *testing.T, err error) {
	t.Helper()
	if (errors.Is(err, exec.ErrNotFound) || errors.Is(err, dbtest.ErrMissing)) && os.Getenv(dbtest.RequireEnv) != "1" {
		t.Skip(err)
	}
	require.NoError(t, err)
}

// TestRoundTrip: each store, on each of its databases, directly and through the proxy, loads what was saved, in the row it
// was saved in.
func TestRoundTrip(t *testing.T) {
	servers, err := NewServers(time.Millisecond)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, servers.Stop()) })
	for _, kind := range []string{Postgres, MariaDB, SQLite} {
		for _, c := range Of(kind) {
			for _, slow := range []bool{false, true} {
				if slow && kind == SQLite || c.Server == Redis && kind != Postgres {
					continue
				}
				t.Run(fmt.Sprintf("%s/%s/slow=%v", kind, c.Name, slow), func(t *testing.T) {
					roundTrip(t, servers, kind, c, slow)
				})
			}
		}
	}
}

func roundTrip(t *testing.T, servers *Servers, kind string, c Contestant, slow bool) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if c.Server != "" {
		kind = c.Server
	}
	place, err := servers.Place(ctx, kind, slow)
	need(t, err)
	setup := Setup{Rows: 40, Payload: Payload(3000), Conns: 3}
	store, err := c.Open(ctx, place, setup)
	need(t, err)
	require.NoError(t, servers.Settle(ctx, place))
	version, err := servers.Version(ctx, place)
	require.NoError(t, err)
	require.NotEmpty(t, version)
	if outsider, ok := store.(Outsider); ok {
		runs(ctx, t, outsider, place)
	} else {
		loadsWhatWasSaved(ctx, t, store, setup)
		if c.Name == "ours" {
			hasConflicts(ctx, t, store, setup)
		}
		conns, err := servers.Conns(ctx, place)
		require.NoError(t, err)
		require.Positive(t, conns)
		require.LessOrEqual(t, conns, max(setup.Conns, sqliteConns))
	}
	begin := time.Now()
	if slow && !isOutsider(store) {
		_, err := store.Load(ctx, 1)
		require.NoError(t, err)
		require.GreaterOrEqual(t, time.Since(begin), servers.Delay, "it came through the proxy")
	}
	require.NoError(t, store.Close())
	require.NoError(t, servers.Drop(ctx, place))
}

func isOutsider(s Store) bool { _, ok := s.(Outsider); return ok }

func loadsWhatWasSaved(ctx context.Context, t *testing.T, store Store, setup Setup) {
	t.Helper()
	got, err := store.Load(ctx, 0)
	require.NoError(t, err)
	require.Equal(t, string(setup.Payload), string(got), "the rows are there from the start")
	payload := append([]byte(nil), setup.Payload...)
	for n, row := range []int{0, setup.Rows - 1, 0} { // the first one twice: its guard has moved on
		Change(payload, uint64(n+1))
		require.NoError(t, store.Save(ctx, row, payload))
		got, err := store.Load(ctx, row)
		require.NoError(t, err)
		require.Equal(t, string(payload), string(got))
	}
	got, err = store.Load(ctx, 1)
	require.NoError(t, err)
	require.Equal(t, string(setup.Payload), string(got), "another row is what it was")
}

// hasConflicts: a store that saves over another's write would be compared in a discipline of its own.
func hasConflicts(ctx context.Context, t *testing.T, store Store, setup Setup) {
	t.Helper()
	o := store.(*entSession)
	stale, err := o.store.Load(ctx, o.ids[2])
	require.NoError(t, err)
	other := append([]byte(nil), setup.Payload...)
	Change(other, 99)
	require.NoError(t, store.Save(ctx, 2, other))
	require.ErrorIs(t, o.store.Save(ctx, stale), entsession.ErrConflict)
}

// runs: pgbench's statements find their rows and change them, and its logs are read.
func runs(ctx context.Context, t *testing.T, o Outsider, p Place) {
	t.Helper()
	w := measure.Window{Warmup: 100 * time.Millisecond, Length: 200 * time.Millisecond}
	for _, op := range []string{"load", "save", "mix"} {
		r, err := o.Round(ctx, op, 2, w)
		require.NoError(t, err)
		require.Positive(t, r.Ops, op)
		require.Positive(t, r.P50, op)
		require.GreaterOrEqual(t, r.P99, r.P50, op)
	}
	db, err := openDB(p, Setup{Conns: 1})
	require.NoError(t, err)
	defer db.Close()
	var rows, changed, shortest int
	require.NoError(t, db.QueryRowContext(ctx, `SELECT count(*), count(DISTINCT data), min(length(data)) FROM sessions`).
		Scan(&rows, &changed, &shortest))
	require.Equal(t, 40, rows)
	require.Greater(t, changed, 20, "its saves changed the rows")
	require.Greater(t, shortest, 2950)
}

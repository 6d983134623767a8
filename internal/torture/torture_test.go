package torture

import (
	"context"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/entsession/entsession/internal/dbtest"
	"github.com/entsession/entsession/internal/history"
)

func TestMain(m *testing.M) {
	Child()
	goleak.VerifyTestMain(dbtest.Runner(m))
}

// seedVar takes the seed of a campaign, which a failure prints.
const seedVar = "ENTSESSION_TORTURE_SEED"

func seed(t *testing.T) uint64 {
	t.Helper()
	seed := rand.Uint64()
	if text := os.Getenv(seedVar); text != "" {
		var err error
		seed, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err, seedVar)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the same faults again: %s=%d", seedVar, seed)
		}
	})
	return seed
}

// lines writes a campaign's log into the test's.
type lines struct{ t *testing.T }

func (l lines) Write(p []byte) (int, error) {
	if text := strings.TrimSpace(string(p)); text != "" {
		l.t.Log(text)
	}
	return len(p), nil
}

func open(t *testing.T, kind dbtest.Kind) Target {
	t.Helper()
	if kind.Dialect == dbtest.SQLite {
		target, err := NewSQLite()
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, target.Close()) })
		return target
	}
	target := &serverTarget{kind: kind, server: kind.Start(t, serverOptions(kind)...)}
	t.Cleanup(func() { require.NoError(t, target.Close()) })
	require.NoError(t, target.prepare())
	return target
}

// short are the faults of the short form, on each dialect others, for they take their time.
var short = map[string][]string{
	dbtest.SQLite:   {"disk full", "kill writer", "lock file", "kill client", "migrate"},
	dbtest.Postgres: {"kill server", "pause server", "terminate connections", "take answers", "tear messages", "kill client", "migrate"},
	dbtest.MySQL:    {"kill server", "take answers", "black hole", "reset connections", "refuse connections", "use up connections", "freeze client"},
}

// TestCampaign is the campaign in short: each fault once, and then a calm.
func TestCampaign(t *testing.T) {
	for _, kind := range []dbtest.Kind{dbtest.Kinds(dbtest.SQLite)[0], dbtest.Kinds(dbtest.Postgres)[0], dbtest.Kinds(dbtest.MySQL)[0]} {
		t.Run(kind.Name, func(t *testing.T) { // one after the other, or each would be the others' fault
			target := open(t, kind)
			faults := slices.DeleteFunc(slices.Clone(short[kind.Dialect]), func(name string) bool {
				missing := !slices.Contains(FaultNames(target), name)
				if missing {
					t.Logf("no fault %q: it takes root to make a small disk", name)
				}
				return missing && name == "disk full"
			})
			r, err := Run(context.Background(), Options{
				Target: target, Clients: 2, Local: 1, Workers: 12, Sessions: 60, Seed: seed(t), Faults: faults, Log: lines{t}, Every: time.Minute, Stderr: os.Stderr,
			})
			require.NoError(t, err)
			require.Empty(t, r.Violations)
			for _, f := range faults {
				require.Equal(t, 1, r.Faults[f], f)
			}
			requireTried(t, r)
		})
	}
}

// requireTried fails if nothing was tried.
func requireTried(t *testing.T, r *Report) {
	t.Helper()
	for _, op := range []history.Op{
		history.Create, history.Load, history.Save, history.Update, history.Touch, history.Rotate, history.Delete, history.Revoke, history.List, opPurge,
	} {
		require.NotZero(t, r.Operations[op]["ok"], op)
	}
	for op, class := range map[history.Op]string{history.Load: classNotFound, history.Save: classConflict, history.Update: classContext} {
		require.NotZero(t, r.Operations[op][class], "%s: %s", op, class)
	}
	failed := 0
	for class, n := range r.errors() {
		if system(class) {
			failed += n
		}
	}
	require.NotZero(t, failed, "no fault hit anything")
	require.Greater(t, r.Sessions, 20)
	require.Greater(t, r.Events, 500)
	var out strings.Builder
	r.Text(&out)
	t.Log(out.String())
}

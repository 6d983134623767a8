package torture

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/internal/dbtest"
)

// The campaign is worth what it finds. Here someone breaks the store's promises behind its back, and must be found out.

// sabotaged is a target to which something else happens than it says.
type sabotaged struct {
	Target
	faults []Fault
}

func (s *sabotaged) Faults() []Fault { return s.faults }

// row is a row as it is stored.
type row struct {
	id               string
	data             sql.NullString
	timeout, version int64
}

func snapshot(ctx context.Context, db *sql.DB) (rows []row, err error) {
	found, err := db.QueryContext(ctx, "SELECT id, data, timeout, version FROM sessions WHERE timeout > 1")
	if err != nil {
		return nil, err
	}
	defer found.Close()
	for found.Next() {
		var r row
		if err := found.Scan(&r.id, &r.data, &r.timeout, &r.version); err != nil {
			return nil, err
		}
		rows = append(rows, r)
	}
	return rows, found.Err()
}

// restore puts rows back to what they were, where that meets the condition.
func restore(db *sql.DB, condition string) func(context.Context, *rand.Rand) error {
	return func(ctx context.Context, _ *rand.Rand) error {
		for range 4 {
			rows, err := snapshot(ctx, db)
			if err != nil {
				return err
			}
			sleep(ctx, 400*time.Millisecond)
			for _, r := range rows {
				if _, err := db.ExecContext(ctx, "UPDATE sessions SET data = ?, timeout = ?, version = ? WHERE id = ? AND "+condition, r.data, r.timeout, r.version, r.id); err != nil {
					return err
				}
			}
		}
		return nil
	}
}

func TestFindsSabotage(t *testing.T) {
	for name, test := range map[string]struct {
		finds  []string // one of these kinds of violation at least
		inject func(db *sql.DB) func(context.Context, *rand.Rand) error
	}{
		"LostWrites": {[]string{"history", "counter"}, func(db *sql.DB) func(context.Context, *rand.Rand) error {
			return restore(db, "timeout > 1")
		}},
		"DeadAwake": {[]string{"revocation", "history"}, func(db *sql.DB) func(context.Context, *rand.Rand) error {
			return restore(db, "timeout < 0")
		}},
		"LostRows": {[]string{"history", "durability"}, func(db *sql.DB) func(context.Context, *rand.Rand) error {
			return func(ctx context.Context, _ *rand.Rand) error {
				_, err := db.ExecContext(ctx, "DELETE FROM sessions WHERE timeout > 1 AND abs(random()) % 3 = 0")
				return err
			}
		}},
		"TornPayload": {[]string{"payload"}, func(db *sql.DB) func(context.Context, *rand.Rand) error {
			return func(ctx context.Context, _ *rand.Rand) error {
				_, err := db.ExecContext(ctx, "UPDATE sessions SET data = substr(data, 1, length(data) / 2) WHERE timeout > 1")
				return err
			}
		}},
		"NotOver": {[]string{"recovery"}, func(db *sql.DB) func(context.Context, *rand.Rand) error {
			return func(ctx context.Context, _ *rand.Rand) error {
				conn, err := db.Conn(ctx)
				if err != nil {
					return err
				}
				_, err = conn.ExecContext(ctx, "BEGIN IMMEDIATE")
				time.AfterFunc(settle+3*StatementTimeout, func() { _ = conn.Close() }) // longer than it says
				return err
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var r *Report
			for range 3 { // of what fails on a machine with much else to do, a campaign can't tell whether that is why, and excuses it
				target := open(t, dbtest.Kinds(dbtest.SQLite)[0])
				fault := Fault{Name: "sabotage", Weight: 1, Inject: test.inject(target.Admin())}
				var err error
				r, err = Run(context.Background(), Options{
					Target: &sabotaged{Target: target, faults: []Fault{fault}}, Clients: 1, Local: 1, Workers: 8, Sessions: 30, Calm: 3 * time.Second,
					Faults: []string{"sabotage"}, Seed: seed(t), Stderr: os.Stderr,
				})
				require.NoError(t, err)
				if len(r.Violations) > 0 {
					break
				}
			}
			requireFound(t, r, test.finds...)
		})
	}
}

func requireFound(t *testing.T, r *Report, kinds ...string) {
	t.Helper()
	var found []string
	for _, v := range r.Violations {
		found = append(found, v.Kind)
		require.Equal(t, r.Seed, v.Seed)
		require.NotEmpty(t, v.What)
	}
	require.True(t, slices.ContainsFunc(kinds, func(k string) bool { return slices.Contains(found, k) }), "none of %v among %v", kinds, found)
	t.Logf("found: %v, %d more", found, r.More)
}

// TestFindsLostCommits runs on a server that answers before a commit is safe, as synchronous_commit = off says, and kills it. The system has what
// was written even so: the process that writes the log is stopped a second before.
func TestFindsLostCommits(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("a process is stopped on Linux only")
	}
	kind := dbtest.Kinds(dbtest.Postgres)[0]
	target := &serverTarget{kind: kind, server: kind.Start(t, append(serverOptions(kind),
		dbtest.Setting("synchronous_commit", "off"), dbtest.Setting("wal_buffers", "64MB"))...)} // for all: a safe commit makes those before it safe
	t.Cleanup(func() { require.NoError(t, target.Close()) })
	require.NoError(t, target.prepare())
	super := target.db.Super(t)
	super.SetMaxIdleConns(0) // none outlives the server
	kill := Fault{Name: "kill server", Weight: 1, Inject: func(ctx context.Context, rng *rand.Rand) error {
		var writer int
		if err := super.QueryRowContext(ctx, "SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'").Scan(&writer); err != nil {
			return err
		}
		if _, err := super.ExecContext(ctx, "CHECKPOINT"); err != nil { // the table is to be there afterwards
			return err
		}
		if err := freeze(writer); err != nil {
			return err
		}
		sleep(ctx, time.Second)
		return target.kill(ctx, rng)
	}}
	r, err := Run(context.Background(), Options{
		Target: &sabotaged{Target: target, faults: []Fault{kill}},
		Faults: []string{"kill server"}, Clients: 1, Local: 1, Workers: 12, Sessions: 60, Seed: seed(t), Stderr: os.Stderr,
	})
	require.NoError(t, err)
	requireFound(t, r, "history", "durability")
}

func TestOptions(t *testing.T) {
	t.Parallel()
	_, err := Run(context.Background(), Options{})
	require.ErrorContains(t, err, "a Target is required")
	target := open(t, dbtest.Kinds(dbtest.SQLite)[0])
	_, err = Run(context.Background(), Options{Target: target, Batching: "perhaps"})
	require.ErrorContains(t, err, `"perhaps" is neither on, off nor mixed`)
	_, err = Run(context.Background(), Options{Target: target, Faults: []string{"earthquake"}})
	require.ErrorContains(t, err, `"earthquake" is none of sqlite's; there are`)
	_, err = Open("oracle")
	require.ErrorContains(t, err, "-db oracle: there is no such target; there are sqlite, ")
}

func TestPayload(t *testing.T) {
	t.Parallel()
	for write := range 40 {
		data := payload(7, write, 3)
		family, w, count, ok := parse(data)
		require.True(t, ok)
		require.Equal(t, []int{7, write, 3}, []int{family, w, count})
		next, err := counted(data, write+1)
		require.NoError(t, err)
		require.Equal(t, payload(7, write+1, 4), next)
		_, _, _, ok = parse(append(data, 'x'))
		require.False(t, ok, "more than was written")
		_, _, _, ok = parse(data[:len(data)-1])
		require.False(t, ok, "less")
	}
	for _, text := range []string{"", "f1 w2;", "f1 n2 w3;", "x1 w2 n3;", "f1 w2 n3", fmt.Sprint("f1 w2 n", "3x;")} {
		_, _, _, ok := parse([]byte(text))
		require.False(t, ok, text)
	}
}

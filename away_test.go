package entsession_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/internal/dbtest"
	_ "github.com/entsession/entsession/mysql"
)

// storeOn opens a store on a database.
func storeOn(t testing.TB, db *dbtest.DB, change ...func(*entsession.Config)) *entsession.Store {
	t.Helper()
	cfg := entsession.Config{Driver: "postgres", Database: db.Name, Username: db.User, Password: db.Password, Hostname: db.Host, Port: db.Port, DisableAutopurge: true}
	switch db.Kind.Dialect {
	case dbtest.MySQL:
		cfg.Driver = "mysql"
	case dbtest.SQLite:
		cfg.Driver, cfg.Database = "sqlite", db.File
	}
	for _, c := range change {
		c(&cfg)
	}
	s, err := entsession.Open(context.Background(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// outage is one way for a server to be away.
type outage struct {
	name  string
	start func(*dbtest.Server) error
	lasts time.Duration
	end   func(*dbtest.Server) error
}

func killed(d time.Duration) outage {
	return outage{"killed", (*dbtest.Server).Kill, d, (*dbtest.Server).Restart}
}

func paused(d time.Duration) outage {
	return outage{"paused", (*dbtest.Server).Pause, d, (*dbtest.Server).Resume}
}

var restarted = outage{"restarted", (*dbtest.Server).Shutdown, 0, (*dbtest.Server).Restart}

// answer is that of one call.
type answer struct {
	began, ended time.Time
	err          error
}

// through has many callers, whose contexts have no deadline, call a store before, during and after an outage. They use a session of their own each.
func (o outage) through(t testing.TB, server *dbtest.Server, s *entsession.Store, callers int) (all []answer, gone, back time.Time) {
	t.Helper()
	ctx := context.Background()
	ids := make([]string, callers)
	for i := range ids {
		sess, err := s.Create(ctx, []byte("x"))
		require.NoError(t, err)
		ids[i] = sess.ID()
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for i, id := range ids {
		wg.Go(func() {
			for n := i; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				a := answer{began: time.Now()}
				switch n % 4 {
				case 0:
					_, a.err = s.Update(ctx, id, func(sess *entsession.Session) error { sess.Data = fmt.Appendf(nil, "%d", n); return nil })
				case 1:
					_, a.err = s.Create(ctx, nil)
				default:
					_, a.err = s.Load(ctx, id)
				}
				a.ended = time.Now()
				if a.err != nil && strings.Contains(a.err.Error(), id) {
					t.Error("an error names an id")
				}
				mu.Lock()
				all = append(all, a)
				mu.Unlock()
			}
		})
	}
	end := sync.OnceFunc(func() {
		close(stop)
		wg.Wait()
	})
	defer end()
	<-time.After(500 * time.Millisecond)
	gone = time.Now()
	require.NoError(t, o.start(server))
	<-time.After(o.lasts)
	require.NoError(t, o.end(server))
	back = time.Now()
	<-time.After(2500 * time.Millisecond)
	end()
	return all, gone, back
}

// While the database is away callers are told so, soon, and within two seconds of its return each call succeeds.
func TestAway(t *testing.T) {
	const timeout = 2 * time.Second // of a statement
	for _, kind := range []dbtest.Kind{dbtest.Kinds(dbtest.Postgres)[0], dbtest.Kinds(dbtest.MySQL)[0]} {
		for _, o := range []outage{killed(2 * time.Second), paused(timeout + 2*time.Second)} {
			for _, batching := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s/%s/batching %v", kind.Name, o.name, batching), func(t *testing.T) {
					t.Parallel()
					server := kind.Start(t)
					s := migrated(t, server.New(t), func(c *entsession.Config) { c.DisableBatching, c.StatementTimeout = !batching, timeout })
					all, gone, back := o.through(t, server, s, 64)
					failed := 0
					for _, a := range all {
						took := a.ended.Sub(a.began)
						if a.err == nil {
							continue
						}
						failed++
						require.ErrorIs(t, a.err, entsession.ErrUnavailable)
						require.Less(t, took, 2*timeout+5*time.Second, "%v", a.err) // the wait for a batch, and its statement; and what a busy machine adds
						require.False(t, a.began.After(back.Add(2*time.Second)), "it failed %v after the return: %v", a.began.Sub(back), a.err)
						require.False(t, a.ended.Before(gone), "it failed %v before: %v", gone.Sub(a.ended), a.err)
					}
					require.NotZero(t, failed)
				})
			}
		}
	}
}

// Who wants to connect to a server that hangs keeps a connection of the pool in use. That is not overload.
func TestHealthWhileConnecting(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	kind := dbtest.Kinds(dbtest.Postgres)[0]
	server := kind.Start(t)
	s := migrated(t, server.New(t), func(c *entsession.Config) { c.MaxOpenConns = 1 })
	require.NoError(t, server.Kill())
	_, err := s.Load(ctx, "x")
	require.ErrorIs(t, err, entsession.ErrUnavailable)
	require.NoError(t, server.Restart())
	require.NoError(t, server.Pause())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = s.Load(ctx, "x")
	}()
	require.Eventually(t, func() bool { return s.Stats().Pool.InUse == 1 }, patience, time.Millisecond)
	require.ErrorIs(t, s.Health(ctx), entsession.ErrUnavailable)
	require.NoError(t, server.Resume())
	cancel()
	<-done
}

// BenchmarkAway prints the figures of docs/faults.md: what callers see while the database is away, with default options. It takes five minutes.
func BenchmarkAway(b *testing.B) {
	for _, kind := range []dbtest.Kind{dbtest.Kinds(dbtest.Postgres)[0], dbtest.Kinds(dbtest.MySQL)[0]} {
		for _, o := range []outage{restarted, killed(3 * time.Second), killed(15 * time.Second), paused(5 * time.Second), paused(45 * time.Second)} {
			for _, callers := range []int{1, 256} {
				b.Run(fmt.Sprintf("%s/%s %v/%d callers", kind.Name, o.name, o.lasts, callers), func(b *testing.B) {
					for b.Loop() {
						server := kind.Start(b)
						s := migrated(b, server.New(b))
						before := s.Stats()
						all, gone, back := o.through(b, server, s, callers)
						report(b, all, gone, back)
						after := s.Stats()
						b.Logf("retries: %d, refused: %d", after.Retries-before.Retries, after.RetriesRefused-before.RetriesRefused)
					}
				})
			}
		}
	}
}

var digits = regexp.MustCompile(`"t[0-9]+_[a-z0-9_]*"|[0-9]+`)

func report(t testing.TB, all []answer, gone, back time.Time) {
	t.Helper()
	var took []time.Duration
	var last, longest time.Duration = -time.Hour, 0
	texts := map[string]int{}
	for _, a := range all {
		if a.err == nil {
			if a.began.Before(back) && a.ended.After(gone) {
				longest = max(longest, a.ended.Sub(a.began))
			}
			continue
		}
		took = append(took, a.ended.Sub(a.began))
		last = max(last, a.ended.Sub(back))
		texts[digits.ReplaceAllString(a.err.Error(), "…")]++
		if !errors.Is(a.err, entsession.ErrUnavailable) {
			t.Errorf("another error: %v", a.err)
		}
	}
	slices.Sort(took)
	t.Logf("away for %v: %d calls succeeded, %d failed", back.Sub(gone).Round(time.Millisecond), len(all)-len(took), len(took))
	t.Logf("the longest call that succeeded took %v", longest.Round(time.Millisecond))
	if n := len(took); n > 0 {
		t.Logf("a call that failed took: median %v, 99%% %v, longest %v", took[n/2].Round(time.Millisecond), took[n*99/100].Round(time.Millisecond), took[n-1].Round(time.Millisecond))
		t.Logf("the last error came %v after the return", last.Round(time.Millisecond))
	}
	for _, text := range slices.SortedFunc(maps.Keys(texts), func(a, b string) int { return cmp.Compare(texts[b], texts[a]) }) {
		t.Logf("%6d times: %s", texts[text], text)
	}
}

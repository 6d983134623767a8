package conformance

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/internal/dbtest"
)

// fill inserts n rows that expire in the given number of seconds, by one statement.
func (e *env) fill(prefix string, n int, seconds int) {
	e.Helper()
	e.exec("INSERT INTO sessions (id, data, timeout) " + fmt.Sprintf(map[string]string{
		dbtest.Postgres: "SELECT '%[1]s' || lpad(i::text, 7, '0'), 'x', {now} + %[3]d FROM generate_series(0, %[2]d) i",
		dbtest.MySQL:    "SELECT CONCAT('%[1]s', LPAD(seq, 7, '0')), 'x', {now} + %[3]d FROM seq_0_to_%[2]d",
		dbtest.SQLite:   "WITH RECURSIVE s(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM s WHERE i < %[2]d) SELECT printf('%[1]s%%07d', i), 'x', {now} + %[3]d FROM s",
	}[e.db.Kind.Dialect], prefix, n-1, seconds))
}

func testPurgeDeletesTheExpired(t *testing.T, e *env) {
	var log syncBuffer
	store := e.store(func(c *entsession.Config) {
		c.PurgeBatch = 300
		c.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	e.fill("dead", 1000, -10)
	e.fill("live", 1000, 1000)
	n, err := store.Purge(ctx)
	require.NoError(t, err)
	require.Equal(t, 1000, n)
	require.EqualValues(t, 1000, e.int("SELECT count(*) FROM sessions"))
	require.Zero(t, e.int("SELECT count(*) FROM sessions WHERE timeout < {now}"))
	require.Equal(t, 4, strings.Count(log.String(), "purged a batch"), log.String())
	require.NotContains(t, log.String(), "dead0")
	n, err = store.Purge(ctx)
	require.NoError(t, err)
	require.Zero(t, n)
}

func testPurgeGrace(t *testing.T, e *env) {
	store := e.store(func(c *entsession.Config) { c.PurgeGrace = 100 * time.Second })
	fresh, old := e.create(store, "x"), e.create(store, "x")
	require.NoError(t, store.Delete(ctx, fresh.ID()))
	require.NoError(t, store.Delete(ctx, old.ID()))
	e.exec("UPDATE sessions SET timeout = timeout + 200 WHERE id = $1", old.Key()) // less negative: longer ago
	n, err := store.Purge(ctx)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.EqualValues(t, 1, e.int("SELECT count(*) FROM sessions WHERE id = $1", fresh.Key()))

	none := e.open(func(c *entsession.Config) { c.PurgeGrace = -1 })
	require.Eventually(t, func() bool { // from the next second on
		n, err = none.Purge(ctx)
		require.NoError(t, err)
		return n == 1
	}, waitFor, 50*time.Millisecond)
}

// testPurgeSparesTheTouched: among 100,000 expired rows and 100,000 live ones, sessions in their last seconds are renewed while the
// purge runs. The expired go, every other stays.
func testPurgeSparesTheTouched(t *testing.T, e *env) {
	const many, edge = 20_000, 500
	store := e.store(func(c *entsession.Config) { c.PlainIDs = true })
	e.fill("dead", many, -10)
	e.fill("live", many, 1000)
	e.fill("edge", edge, 3)
	purged := make(chan int, 1)
	go func() {
		n, err := store.Purge(ctx)
		if err != nil {
			t.Errorf("Purge: %v", err)
		}
		purged <- n
	}()
	var renewed []string
	for i := range edge {
		id := fmt.Sprintf("edge%07d", i)
		switch err := store.Touch(ctx, id); err {
		case nil:
			renewed = append(renewed, id)
		case entsession.ErrNotFound: // too late: it had expired
		default:
			t.Errorf("Touch: %v", err)
		}
	}
	require.NotEmpty(t, renewed)
	require.GreaterOrEqual(t, <-purged, many)
	require.Zero(t, e.int("SELECT count(*) FROM sessions WHERE id LIKE 'dead%'"))
	require.EqualValues(t, many, e.int("SELECT count(*) FROM sessions WHERE id LIKE 'live%'"))
	for _, id := range renewed {
		require.True(t, e.live(store, id))
	}
}

func testAutopurgeDraws(t *testing.T, e *env) {
	var draw atomic.Value
	var draws atomic.Int64
	draw.Store(0.99)
	store := e.store(func(c *entsession.Config) {
		c.DisableAutopurge = false
		c.AutopurgeProbability = 0.5
		c.PurgeInterval = -1
		c.Rand = func() float64 { draws.Add(1); return draw.Load().(float64) }
	})
	e.fill("dead", 10, -10)
	dead := func() int64 { return e.int("SELECT count(*) FROM sessions WHERE timeout < {now}") }
	for range 20 {
		require.False(t, e.live(store, "nobody"))
	}
	require.GreaterOrEqual(t, draws.Load(), int64(20), "every call draws")
	require.EqualValues(t, 10, dead(), "and none won")
	draw.Store(0.49)
	require.False(t, e.live(store, "nobody"))
	require.Eventually(t, func() bool { return dead() == 0 }, waitFor, tick)

	never := e.open(func(c *entsession.Config) {
		c.DisableAutopurge = false
		c.AutopurgeProbability = -1
		c.Rand = func() float64 { t.Error("drawn"); return 0 }
	})
	require.False(t, e.live(never, "nobody"))
	off := e.open(func(c *entsession.Config) { c.Rand = func() float64 { t.Error("drawn"); return 0 } })
	require.False(t, e.live(off, "nobody"))

	// At most once an interval.
	slow := e.open(func(c *entsession.Config) {
		c.DisableAutopurge = false
		c.PurgeInterval = time.Hour
		c.Rand = func() float64 { return 0 }
	})
	e.fill("more", 10, -10)
	require.False(t, e.live(slow, "nobody"))
	require.Eventually(t, func() bool { return dead() == 0 }, waitFor, tick)
	e.fill("still", 10, -10)
	for range 50 {
		require.False(t, e.live(slow, "nobody"))
	}
	require.NoError(t, slow.Close(), "which waits for a purge under way")
	require.EqualValues(t, 10, dead())
}

func testPurgersTakeTurns(t *testing.T, e *env) {
	e.store()
	e.fill("dead", 3000, -10)
	var total atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		store := e.open(func(c *entsession.Config) { c.PurgeBatch = 100 })
		wg.Go(func() {
			n, err := store.Purge(ctx)
			if err != nil {
				t.Errorf("Purge: %v", err)
			}
			total.Add(int64(n))
		})
	}
	wg.Wait()
	require.EqualValues(t, 3000, total.Load(), "none was counted twice")
	require.Zero(t, e.int("SELECT count(*) FROM sessions"))

	e.fill("dead", 300, -10)
	brief, cancel := context.WithCancel(ctx)
	cancel()
	_, err := e.open().Purge(brief)
	require.ErrorIs(t, err, context.Canceled)
	n, err := e.open().Purge(ctx)
	require.NoError(t, err, "a cancelled purge leaves no lock")
	require.Equal(t, 300, n)
}

func testUsage(t *testing.T, e *env) {
	shop, none := e.store(application("shop")), e.open()
	e.create(shop, "12345")
	e.create(shop, "12345")
	require.NoError(t, shop.Delete(ctx, e.create(shop, "gone").ID()))
	e.expire(e.create(shop, "123"))
	e.create(none, "ü")
	got, err := none.Usage(ctx)
	require.NoError(t, err)
	require.Len(t, got, 2)
	require.Equal(t, entsession.Usage{Live: 1, Bytes: 2, Oldest: got[0].Oldest}, got[0])
	require.WithinDuration(t, e.dbNow(), got[0].Oldest, 5*time.Second)
	require.Equal(t, entsession.Usage{Application: "shop", Live: 2, Expired: 1, Tombstones: 1, Bytes: 13, Oldest: got[1].Oldest}, got[1])
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

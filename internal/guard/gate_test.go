package guard_test

import (
	"context"
	"database/sql"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/internal/dbtest"
	"github.com/entsession/entsession/internal/fault"
	"github.com/entsession/entsession/internal/guard"
)

// quick has a server that says nothing cost four seconds.
var quick = map[string]map[string]string{
	dbtest.Postgres: {"connect_timeout": "4"},
	dbtest.MySQL:    {"timeout": "4s", "checkConnLiveness": "false"},
}

// behind makes a pool whose server is behind a proxy.
func behind(t *testing.T, db *dbtest.DB) (*sql.DB, *guard.Connector, *proxy) {
	t.Helper()
	line := newProxy(t, db.Host, db.Port)
	s := settings(db, never)
	s.Port, s.Params = line.port, quick[db.Kind.Dialect]
	c := connector(t, db.Kind.Dialect, s).(*guard.Connector)
	pool := sql.OpenDB(c)
	t.Cleanup(func() { require.NoError(t, pool.Close()) })
	return pool, c, line
}

// While a database refuses everyone, it is asked a few times a second, however many want something of it, and the first who comes
// after its return is served.
func TestAwayIsAskedSeldom(t *testing.T) {
	forEach(t, func(t *testing.T, db *dbtest.DB) {
		pool, c, line := behind(t, db)
		pool.SetMaxOpenConns(16)
		line.shut.Store(true)
		const callers, during = 64, time.Second // from when on it is told for how long
		began := time.Now()
		var calls atomic.Int64
		var wg sync.WaitGroup
		for range callers {
			wg.Go(func() {
				for fault.Away(c.Away()) < during && time.Since(began) < patience {
					ctx, cancel := context.WithTimeout(context.Background(), patience)
					err := pool.PingContext(ctx)
					cancel()
					if fault.Of(err) != fault.NotSent {
						t.Errorf("%v (%T)", err, err)
					}
					calls.Add(1)
				}
			})
		}
		wg.Wait()
		t.Logf("%d calls, %d connections", calls.Load(), line.came.Load())
		require.Greater(t, calls.Load(), int64(callers), "they fail fast")
		require.Less(t, line.came.Load(), int64(200)) // pgx tries with TLS and without; sixteen came at once in the beginning
		require.ErrorContains(t, c.Away(), "in vain for")

		line.shut.Store(false)
		require.NoError(t, pool.PingContext(deadline(t)))
		require.NoError(t, c.Away())
		giveBack(t, connections(t, pool, 8)) // and everyone after
	}, dbtest.Postgres, dbtest.MySQL)
}

// One that swallows all it is sent costs its timeout once. Connections whose greeting was swallowed hold up no one when it is well again.
func TestAwayInABlackHole(t *testing.T) {
	forEach(t, func(t *testing.T, db *dbtest.DB) {
		pool, _, line := behind(t, db)
		pool.SetMaxOpenConns(4)
		line.mute.Store(true)
		require.Error(t, pool.PingContext(deadline(t)), "after four seconds")
		stop := make(chan struct{})
		var wg sync.WaitGroup
		var calls, slow atomic.Int64
		end := sync.OnceFunc(func() {
			close(stop)
			wg.Wait()
		})
		t.Cleanup(end)
		for range 32 {
			wg.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					ctx, cancel := context.WithTimeout(context.Background(), patience)
					began := time.Now()
					err := pool.PingContext(ctx)
					cancel()
					if err != nil && fault.Of(err) != fault.NotSent {
						t.Errorf("%v (%T)", err, err)
					}
					calls.Add(1)
					if time.Since(began) > 800*time.Millisecond {
						slow.Add(1)
					}
				}
			})
		}
		<-time.After(1500 * time.Millisecond) // what is measured
		t.Logf("%d calls, %d of them slow", calls.Load(), slow.Load())
		require.Greater(t, calls.Load(), int64(150))
		line.mute.Store(false)
		began := time.Now()
		require.Eventually(t, func() bool { return pool.PingContext(deadline(t)) == nil }, patience, time.Millisecond)
		require.Less(t, time.Since(began), 1500*time.Millisecond, "an attempt of before hangs for longer")
		end()
		require.Less(t, slow.Load(), int64(16), "one a second waits for the server; and now and then those whom the pool kept behind it")
	}, dbtest.Postgres, dbtest.MySQL)
}

// Who answers is not away, whatever the answer; and who had no time to wait for one tells nothing.
func TestAwayOrNot(t *testing.T) {
	forEach(t, func(t *testing.T, db *dbtest.DB) {
		s := settings(db, never)
		s.Password = "wrong"
		c := connector(t, db.Kind.Dialect, s).(*guard.Connector)
		for range 3 {
			_, err := c.Connect(deadline(t))
			require.Equal(t, fault.Other, fault.Of(err))
			require.NoError(t, c.Away())
		}

		line := newProxy(t, db.Host, db.Port)
		s.Port = line.port
		c = connector(t, db.Kind.Dialect, s).(*guard.Connector)
		line.shut.Store(true)
		_, err := c.Connect(deadline(t))
		require.Equal(t, fault.NotSent, fault.Of(err))
		line.shut.Store(false)
		_, err = c.Connect(deadline(t))
		require.Equal(t, fault.Other, fault.Of(err))
		require.NoError(t, c.Away(), "it is there, and refuses")

		_, c, line = behind(t, db)
		line.mute.Store(true)
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		defer cancel()
		_, err = c.Connect(ctx)
		require.Equal(t, fault.Other, fault.Of(err))
		require.NoError(t, c.Away())

		line.shut.Store(true)
		_, err = c.Connect(deadline(t))
		require.Equal(t, fault.NotSent, fault.Of(err))
		require.Error(t, c.Away())
		began := time.Now()
		_, err = c.Connect(context.Background()) // as the pool does for those who wait: it has the answer at hand
		require.Equal(t, fault.NotSent, fault.Of(err))
		require.Less(t, time.Since(began), minPause)
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		require.Eventually(t, func() bool { // sooner or later it comes while another one is not due
			_, err = c.Connect(ended)
			return err != nil
		}, patience, time.Millisecond)
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, fault.Other, fault.Of(err))

		// Nobody but such callers: one of them tries, in the end.
		line.shut.Store(false)
		line.mute.Store(false)
		require.Eventually(t, func() bool {
			conn, err := c.Connect(context.Background())
			if err != nil {
				return false
			}
			return conn.Close() == nil
		}, 3*time.Second, 10*time.Millisecond)
		require.NoError(t, c.Close())
	}, dbtest.Postgres, dbtest.MySQL)
}

// minPause is the first pause between two attempts.
const minPause = 10 * time.Millisecond

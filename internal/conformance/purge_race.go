package conformance

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
)

// roundsVar is how many rounds the race of renewals against the purge is to have, such as 1000000. Give go test a -timeout that allows for it.
const roundsVar = "ENTSESSION_TEST_ROUNDS"

// racer is a session in the race.
type racer struct {
	sess    *entsession.Session
	begun   time.Time // of the call that renewed it last
	renewed bool      // this time
}

// testRenewalsMeetThePurge: sessions live for a second or two, and are renewed in just the moment in which they expire, while the purge takes all that is
// expired. Half of them are late. A round is one such meeting. Whose renewal was answered with nil is there, and live.
func testRenewalsMeetThePurge(t *testing.T, e *env) {
	if e.another() {
		return
	}
	rounds, most := 2000, 400
	if text := os.Getenv(roundsVar); text != "" {
		var err error
		rounds, err = strconv.Atoi(text)
		require.NoError(t, err, roundsVar)
		most = 8000
	}
	brief := func(c *entsession.Config) { c.ExpirationTimeout, c.TouchInterval = time.Second, -1 }
	store, purging := e.store(brief), e.open(brief)

	stop, stopped := make(chan bool), make(chan error, 1)
	var purged, purges atomic.Int64
	go func() {
		for {
			n, err := purging.Purge(ctx)
			purged.Add(int64(n))
			purges.Add(1)
			select {
			case <-stop:
				stopped <- err
				return
			case <-time.After(time.Millisecond):
			}
			if err != nil {
				stopped <- err
				return
			}
		}
	}()
	defer func() {
		close(stop)
		require.NoError(t, <-stopped)
	}()

	racers, lead := make([]racer, 400), 10*time.Millisecond
	won, lost, cycles := 0, 0, 0
	for start := time.Now(); won+lost < rounds; cycles++ {
		none(t, together(len(racers), func(i int) (err error) {
			r := &racers[i]
			if !r.renewed {
				r.sess, err = store.Create(ctx, fmt.Append(nil, i))
			}
			r.renewed = false
			return err
		}))
		rand.Shuffle(len(racers), func(i, j int) { racers[i], racers[j] = racers[j], racers[i] })
		now := time.Now()
		<-time.After(now.Truncate(time.Second).Add(time.Second - lead).Sub(now))
		begun := time.Now()
		none(t, together(len(racers), func(i int) error {
			r := &racers[i]
			r.begun = time.Now()
			err := r.renew(store, i)
			r.renewed = err == nil
			if errors.Is(err, entsession.ErrNotFound) {
				err = nil
			}
			return err
		}))
		spent := time.Since(begun)
		live := e.liveKeys()
		at := time.Now()
		for _, r := range racers {
			switch {
			case !r.renewed:
				lost++
			case at.Sub(r.begun) >= time.Second: // it may have expired since
			default:
				require.True(t, live[r.sess.Key()], "it was renewed, and is gone")
				won++
			}
		}
		// As many as the time allows for, and half of them before the tick.
		lead = min(spent/2, 400*time.Millisecond)
		switch {
		case spent < 500*time.Millisecond && len(racers) < most:
			racers = append(racers, make([]racer, len(racers)/4)...)
		case spent > 800*time.Millisecond:
			racers = racers[:max(len(racers)*3/4, 100)]
		}
		if testing.Verbose() && cycles%60 == 59 {
			t.Logf("%8s: %d renewed, %d too late, %d sessions at a time", time.Since(start).Round(time.Second), won, lost, len(racers))
		}
	}
	t.Logf("%d cycles: %d sessions renewed, %d too late, %d rows purged by %d purges", cycles, won, lost, purged.Load(), purges.Load())
	require.Eventually(t, func() bool { return purged.Load() > 0 }, waitFor, tick) // those of the last round expire too
}

// renew renews a session in one of three ways.
func (r *racer) renew(store *entsession.Store, i int) error {
	switch i % 4 {
	case 0:
		r.sess.Data = fmt.Append(nil, "saved ", i)
		return store.Save(ctx, r.sess)
	case 1:
		got, err := store.Update(ctx, r.sess.ID(), increment0)
		if err == nil {
			r.sess = got
		}
		return err
	}
	return store.Touch(ctx, r.sess.ID())
}

func (e *env) liveKeys() map[string]bool {
	e.Helper()
	rows, err := e.admin.QueryContext(ctx, e.sql("SELECT id FROM sessions WHERE timeout >= {now}"))
	require.NoError(e, err)
	defer rows.Close()
	keys := map[string]bool{}
	for rows.Next() {
		var key string
		require.NoError(e, rows.Scan(&key))
		keys[strings.TrimRight(key, " ")] = true
	}
	require.NoError(e, rows.Err())
	return keys
}

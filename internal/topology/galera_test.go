package topology

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/internal/dbtest"
	"github.com/entsession/entsession/internal/fault"
)

// cluster is a Galera cluster and a store on each of its nodes.
type cluster struct {
	*dbtest.Galera
	db     *dbtest.DB
	stores []*entsession.Store
}

func newCluster(t *testing.T, change ...func(*entsession.Config)) *cluster {
	t.Helper()
	c := &cluster{Galera: dbtest.NewGalera(t)}
	var err error
	c.db, err = c.Nodes[0].Create()
	require.NoError(t, err)
	for i := range c.Nodes {
		c.stores = append(c.stores, c.open(t, i, change...))
	}
	require.NoError(t, c.stores[0].Migrate(t.Context()))
	return c
}

func (c *cluster) open(t *testing.T, node int, change ...func(*entsession.Config)) *entsession.Store {
	t.Helper()
	cfg := entsession.Config{
		Driver: "mysql", Database: c.db.Name, Username: c.db.User, Password: c.db.Password, Hostname: c.Nodes[node].Host, Port: c.Nodes[node].Port,
		DisableAutopurge: true,
	}
	for _, f := range change {
		f(&cfg)
	}
	store, err := entsession.Open(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	return store
}

func count(s *entsession.Session) uint64 { return binary.BigEndian.Uint64(s.Data) }

// TestGalera shares one cluster, as to make it takes its time.
func TestGalera(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	t.Run("guards", c.testGuards)
	t.Run("together", c.testTogether)
	t.Run("finality", c.testFinality)
	t.Run("lost nodes", c.testLostNodes)
}

// testGuards changes one session from three nodes at a time, which know nothing of each other's row locks.
func (c *cluster) testGuards(t *testing.T) {
	ctx := context.Background()
	s, err := c.stores[0].Create(ctx, make([]byte, 8))
	require.NoError(t, err)
	var wg sync.WaitGroup
	var mu sync.Mutex
	done, conflicts, refused := 0, 0, 0
	for i, store := range c.stores {
		for range 3 {
			wg.Go(func() {
				for range 20 {
					_, err := store.Update(ctx, s.ID(), func(s *entsession.Session) error {
						s.Data = binary.BigEndian.AppendUint64(nil, count(s)+1)
						return nil
					})
					mu.Lock()
					switch {
					case err == nil:
						done++
					case fault.Of(err) == fault.Contention: // too many others, all the time
						refused++
					default:
						t.Errorf("node %d: %v", i, err)
					}
					mu.Unlock()
				}
			})
			wg.Go(func() {
				for range 20 {
					s, err := store.Load(ctx, s.ID())
					if err == nil {
						s.Data = binary.BigEndian.AppendUint64(nil, count(s)+1)
						err = store.Save(ctx, s)
					}
					mu.Lock()
					switch {
					case err == nil:
						done++
					case errors.Is(err, entsession.ErrConflict):
						conflicts++
					default:
						t.Errorf("node %d: %v", i, err)
					}
					mu.Unlock()
				}
			})
		}
	}
	wg.Wait()
	t.Log(done, "changes,", conflicts, "conflicts,", refused, "refused")
	require.NotZero(t, conflicts)
	for _, store := range c.stores {
		last, err := store.Load(ctx, s.ID())
		require.NoError(t, err)
		require.EqualValues(t, done, count(last))
	}
}

// testTogether changes a few sessions from three nodes, in batches: what another node commits ends the transaction of a batch anywhere between its
// statements.
func (c *cluster) testTogether(t *testing.T) {
	ctx := context.Background()
	const sessions, callers, rounds = 30, 20, 100
	ids, done := make([]string, sessions), make([]atomic.Uint64, sessions)
	for i := range ids {
		s, err := c.stores[0].Create(ctx, make([]byte, 8))
		require.NoError(t, err)
		ids[i] = s.ID()
	}
	var wg sync.WaitGroup
	for node, store := range c.stores {
		for caller := range callers {
			wg.Go(func() {
				for round := range rounds {
					i := (caller*7 + round*(3+node)) % sessions
					_, err := store.Update(ctx, ids[i], func(s *entsession.Session) error {
						s.Data = binary.BigEndian.AppendUint64(nil, count(s)+1)
						return nil
					})
					if err == nil {
						done[i].Add(1)
					} else if fault.Of(err) != fault.Contention { // too many others, all the time
						t.Errorf("node %d: %v", node, err)
					}
				}
			})
		}
	}
	wg.Wait()
	var batched uint64
	for _, store := range c.stores {
		for _, l := range store.Stats().Lanes {
			if l.Name == "save" {
				batched += l.Batched
			}
		}
	}
	require.NotZero(t, batched)
	for i, id := range ids {
		s, err := c.stores[i%len(c.stores)].Load(ctx, id)
		require.NoError(t, err)
		require.Equal(t, done[i].Load(), count(s), "session %d", i)
	}
}

// testFinality holds a node back: what was revoked at another one is not loaded there, however late that comes.
func (c *cluster) testFinality(t *testing.T) {
	ctx := context.Background()
	s, err := c.stores[0].Create(ctx, []byte("x"))
	require.NoError(t, err)
	_, err = c.stores[1].Load(ctx, s.ID())
	require.NoError(t, err)

	// One that is told not to wait shows what would be.
	hasty := c.open(t, 1, func(cfg *entsession.Config) { cfg.Params = map[string]string{"wsrep_sync_wait": "0"} })
	_, err = hasty.Load(ctx, s.ID())
	require.NoError(t, err)

	// Whoever holds this lock keeps the node from applying what comes from others.
	super := c.db.On(c.Nodes[1]).Super(t)
	conn, err := super.Conn(ctx)
	require.NoError(t, err)
	defer conn.Close()
	_, err = conn.ExecContext(ctx, `FLUSH TABLES WITH READ LOCK`)
	require.NoError(t, err)
	require.NoError(t, c.stores[0].Delete(ctx, s.ID()))

	_, err = hasty.Load(ctx, s.ID())
	require.NoError(t, err, "the node is behind")

	loaded := make(chan error, 1)
	go func() {
		_, err := c.stores[1].Load(ctx, s.ID())
		loaded <- err
	}()
	waits := fmt.Sprintf(`SELECT count(*) FROM information_schema.processlist WHERE db = '%s' AND info LIKE 'SELECT%%sessions%%'`, c.db.Name)
	require.Eventually(t, func() bool {
		var n int
		require.NoError(t, conn.QueryRowContext(ctx, waits).Scan(&n))
		return n > 0 || len(loaded) > 0
	}, time.Minute, time.Millisecond)
	_, err = conn.ExecContext(ctx, `UNLOCK TABLES`)
	require.NoError(t, err)
	require.ErrorIs(t, <-loaded, entsession.ErrNotFound)
}

// testLostNodes loses a node in each way there is. The others go on, and it comes back with what it has missed.
func (c *cluster) testLostNodes(t *testing.T) {
	ctx := context.Background()
	id := func(node int) string {
		t.Helper()
		bounded, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		for {
			s, err := c.stores[node].Create(bounded, []byte("x"))
			if err == nil {
				return s.ID()
			}
			require.NoError(t, bounded.Err(), err) // until the others have given up the one that is lost
		}
	}
	known := func(id string) {
		t.Helper()
		require.NoError(t, c.Settle())
		for _, store := range c.stores {
			s, err := store.Load(ctx, id)
			require.NoError(t, err)
			require.Equal(t, "x", string(s.Data))
		}
	}
	require.NoError(t, c.Nodes[2].Kill())
	missed := id(0)
	require.NoError(t, c.Nodes[2].Restart())
	known(missed)

	require.NoError(t, c.Cut(c.Nodes[1]))
	_, err := c.stores[1].Load(ctx, missed)
	require.Equal(t, fault.NotSent, fault.Of(err), err)
	missed = id(2)
	require.NoError(t, c.Join(c.Nodes[1]))
	known(missed)
}

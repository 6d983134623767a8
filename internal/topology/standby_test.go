package topology

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/internal/dbtest"
	"github.com/entsession/entsession/internal/fault"
	"github.com/entsession/entsession/internal/torture"
)

// TestStandbyIsRefused moves the address of the primary to its standby, as happens for a moment in many failovers. A standby answers reads, from the
// past: what was revoked would be live there.
func TestStandbyIsRefused(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	pair := dbtest.Kinds(dbtest.Postgres)[0].StartPair(t)
	db, err := pair.Primary().Create()
	require.NoError(t, err)
	proxy, err := torture.NewProxy(pair.Primary().Addr())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, proxy.Close()) })
	open := func(host string, port int) *entsession.Store {
		store, err := entsession.Open(ctx, entsession.Config{
			Database: db.Name, Username: db.User, Password: db.Password, Hostname: host, Port: port, Params: map[string]string{"sslmode": "disable"},
		})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, store.Close()) })
		return store
	}
	direct, moved := open(db.Host, db.Port), open(proxy.Host(), proxy.Port())
	require.NoError(t, direct.Migrate(ctx))
	s, err := direct.Create(ctx, []byte("x"))
	require.NoError(t, err)
	_, err = moved.Load(ctx, s.ID())
	require.NoError(t, err)

	// From now on the standby receives, and replays nothing.
	standby := db.On(pair.Standby()).Super(t)
	require.Eventually(t, func() bool {
		var n int
		return standby.QueryRow(`SELECT count(*) FROM sessions`).Scan(&n) == nil && n == 1
	}, time.Minute, 10*time.Millisecond)
	_, err = standby.Exec(`SELECT pg_wal_replay_pause()`)
	require.NoError(t, err)
	require.NoError(t, direct.Delete(ctx, s.ID()))
	proxy.Move(pair.Standby().Addr())
	proxy.Reset()
	for range 5 {
		_, err = moved.Load(ctx, s.ID())
		require.Error(t, err)
		require.NotErrorIs(t, err, entsession.ErrNotFound)
		require.Equal(t, fault.ReadOnly, fault.Of(err), err.Error())
		t.Log(err)
	}
	_, err = moved.Create(ctx, []byte("y"))
	require.Equal(t, fault.ReadOnly, fault.Of(err), err)
	t.Log(err)

	proxy.Move(pair.Primary().Addr())
	require.Eventually(t, func() bool { // the store may have found nothing for so long that it looks but now and then
		_, err = moved.Load(ctx, s.ID())
		return fault.Of(err) != fault.ReadOnly
	}, time.Minute, 10*time.Millisecond)
	require.ErrorIs(t, err, entsession.ErrNotFound)
	_, err = moved.Create(ctx, []byte("y"))
	require.NoError(t, err)
}

package conformance

import (
	"sync"
	"testing"

	entsql "entgo.io/ent/dialect/sql"
	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/ent/session"
)

// testRevokeWhileOthersSignIn: who is signed in is signed out, however many sign in at the same time.
func testRevokeWhileOthersSignIn(t *testing.T, e *env) {
	if e.another() {
		return
	}
	store, busy := e.store(), e.open()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(stop)
	begun := make(chan bool, 4)
	for range cap(begun) {
		wg.Go(func() {
			for n := 0; ; n++ {
				if _, err := busy.Create(ctx, []byte("new")); err != nil {
					t.Errorf("Create: %v", err)
					return
				}
				if n == 0 {
					begun <- true
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	for range cap(begun) {
		<-begun
	}
	for _, where := range [][]func(*entsql.Selector){nil, {session.TimeoutGT(0)}} {
		var ids []string
		for range 20 {
			ids = append(ids, e.create(store, "old").ID())
		}
		n, err := store.Revoke(ctx, where...)
		require.NoError(t, err)
		require.GreaterOrEqual(t, n, len(ids))
		for _, id := range ids {
			require.False(t, e.live(store, id))
		}
	}
}

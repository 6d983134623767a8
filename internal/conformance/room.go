package conformance

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// testRoomForUpdates: a saved row finds room on the page that it was on, so that a save that moves no expiry touches no index (PostgreSQL's heap-only tuples).
func testRoomForUpdates(t *testing.T, e *env) {
	store := e.store()
	var ids []string
	for i := range 200 {
		ids = append(ids, e.create(store, fmt.Sprintf("%0300d", i)).ID())
	}
	const places = "SELECT count(*) FROM sessions JOIN places ON places.id = sessions.id AND places.page = split_part(sessions.ctid::text, ',', 1)"
	e.exec("CREATE TABLE places AS SELECT id, split_part(ctid::text, ',', 1) AS page FROM sessions")
	require.EqualValues(t, len(ids), e.int(places))
	for i, id := range ids {
		if i%10 > 0 {
			continue // one or two on each page, for which there is room before anything is pruned
		}
		s := got0(t, store, id)
		s.Data = fmt.Appendf(nil, "%0300d", -i-1)
		require.NoError(t, store.Save(ctx, s))
	}
	require.EqualValues(t, len(ids), e.int(places))
}

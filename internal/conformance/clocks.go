package conformance

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/ent/session"
)

// testWrongClocks: hosts that believe it is the year 2000, or 2100, work through every method beside one with the right time. None of them lets a session
// live longer or shorter, and none of their purges takes one that is live.
func testWrongClocks(t *testing.T, e *env) {
	right := e.store()
	cfg := e.config()
	for _, year := range []int{2000, 2100} {
		e.exec("DELETE FROM sessions")
		var live, dead []*entsession.Session
		for range 8 {
			live = append(live, e.create(right, "x", entsession.Set(session.FieldSubject, "live")))
			dead = append(dead, e.create(right, "x", entsession.Set(session.FieldSubject, "dead")))
		}
		e.exec("UPDATE sessions SET timeout = {now} + 50 WHERE subject = 'live'") // a renewal is due
		e.exec("UPDATE sessions SET timeout = {now} - 1 WHERE subject = 'dead'")
		var fresh *entsession.Session
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(time.Until(time.Date(year, 6, 1, 0, 0, 0, 0, time.UTC)))
			require.Equal(t, year, time.Now().UTC().Year())
			wrong, err := entsession.Open(t.Context(), cfg)
			require.NoError(t, err)
			defer func() { require.NoError(t, wrong.Close()) }()
			for i, s := range dead {
				_, err := wrong.Load(t.Context(), s.ID())
				require.Equal(t, entsession.ErrNotFound, err)
				require.Equal(t, entsession.ErrNotFound, wrong.Save(t.Context(), s))
				require.Equal(t, entsession.ErrNotFound, wrong.Touch(t.Context(), s.ID()))
				_, err = wrong.Update(t.Context(), s.ID(), increment0)
				require.Equal(t, entsession.ErrNotFound, err)
				_, err = wrong.Rotate(t.Context(), s.ID())
				require.Equal(t, entsession.ErrNotFound, err)
				if i == 0 {
					require.NoError(t, wrong.Delete(t.Context(), s.ID()))
				}
			}
			n := 0
			for s, err := range wrong.List(t.Context()) {
				require.NoError(t, err)
				require.NotNil(t, s)
				n++
			}
			require.Equal(t, len(live), n)
			n, err = wrong.Revoke(t.Context(), session.Subject("dead"))
			require.NoError(t, err)
			require.Zero(t, n)

			_, err = wrong.Load(t.Context(), live[0].ID())
			require.NoError(t, err)
			require.NoError(t, wrong.Touch(t.Context(), live[1].ID()))
			require.NoError(t, wrong.Save(t.Context(), live[2]))
			_, err = wrong.Update(t.Context(), live[3].ID(), increment0)
			require.NoError(t, err)
			fresh, err = wrong.Rotate(t.Context(), live[4].ID())
			require.NoError(t, err)
			require.NoError(t, wrong.Delete(t.Context(), live[5].ID()))
			n, err = wrong.Revoke(t.Context(), session.ID(live[6].Key()))
			require.NoError(t, err)
			require.Equal(t, 1, n)
			n, err = wrong.Purge(t.Context())
			require.NoError(t, err)
			require.Equal(t, len(dead), n, "the expired; the tombstones have their grace")
		})
		now := e.dbNow()
		for i, s := range live {
			timeout := time.Unix(e.int("SELECT timeout FROM sessions WHERE id = $1", s.Key()), 0)
			switch i {
			case 1, 2, 3:
				require.WithinDuration(t, now.Add(31*time.Minute), timeout, 10*time.Second, "renewed by the database's clock")
			case 4, 5, 6:
				require.InDelta(t, -now.Unix(), timeout.Unix(), 10, "ended, by the database's clock")
			default:
				require.WithinDuration(t, now.Add(50*time.Second), timeout, 10*time.Second, "left alone")
			}
			require.Equal(t, i < 4 || i > 6, e.live(right, s.ID()))
		}
		require.WithinDuration(t, now.Add(31*time.Minute), fresh.Expires(), 10*time.Second)
		require.Equal(t, live[4].Created(), fresh.Created())
		require.True(t, e.live(right, fresh.ID()))
	}
}

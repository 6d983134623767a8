package entsession_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/internal/dbtest"
	"github.com/entsession/entsession/internal/fault"
)

// TestTimesAsText: behind a pooler that keeps no prepared statements answers come as text, and a time's form depends on the role's settings. A load does not.
func TestTimesAsText(t *testing.T) {
	t.Parallel()
	for _, kind := range dbtest.Kinds(dbtest.Postgres) {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			for _, mode := range []string{"exec", "simple_protocol", "cache_statement"} {
				db := kind.New(t)
				cfg := storeConfig(kind, db)
				if cfg.Params == nil {
					cfg.Params = map[string]string{}
				}
				cfg.Params["default_query_exec_mode"], cfg.Params["datestyle"], cfg.Params["timezone"] = mode, "German, DMY", "Asia/Kolkata"
				store, err := entsession.Open(t.Context(), cfg)
				require.NoError(t, err)
				require.NoError(t, store.Migrate(t.Context()))
				s, err := store.Create(t.Context(), []byte("tea"))
				require.NoError(t, err)
				got, err := store.Load(t.Context(), s.ID())
				require.NoError(t, err, mode)
				require.Equal(t, "tea", string(got.Data))
				_, err = db.Super(t).Exec("UPDATE sessions SET timeout = floor(date_part('epoch', now()))::bigint - 1")
				require.NoError(t, err)
				_, err = store.Load(t.Context(), s.ID())
				require.ErrorIs(t, err, entsession.ErrNotFound, mode)
				require.NoError(t, store.Close())
			}
		})
	}
}

// TestFewTogether: a few loads that travel together are a statement each, in one trip. Each has its own answer, whatever its neighbours'.
func TestFewTogether(t *testing.T) {
	t.Parallel()
	for _, kind := range dbtest.Kinds(dbtest.Postgres) {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			for mode, want := range map[string]bool{"cache_statement": true, "exec": false} {
				db := kind.New(t)
				cfg := storeConfig(kind, db)
				cfg.Application, cfg.StatementTimeout, cfg.Params = "shop", 500*time.Millisecond, map[string]string{"default_query_exec_mode": mode}
				store := opened(t, cfg)
				cfg.Application = "office"
				other := opened(t, cfg)
				ids := map[string]string{}
				for _, name := range []string{"a", "b", "c", "expired", "ended"} {
					s, err := store.Create(t.Context(), []byte(name))
					require.NoError(t, err)
					ids[name] = s.ID()
				}
				s, err := other.Create(t.Context(), []byte("other"))
				require.NoError(t, err)
				admin := db.Super(t)
				_, err = admin.Exec("UPDATE sessions SET timeout = floor(date_part('epoch', now()))::bigint - 1 WHERE data = 'expired'")
				require.NoError(t, err)
				require.NoError(t, store.Delete(t.Context(), ids["ended"]))

				few := []string{ids["c"], s.ID(), ids["a"], ids["expired"], ids["a"], ids["ended"], ids["b"]}
				load := func(asked ...string) (names []string) {
					found, each, err := entsession.LoadTogether(t.Context(), store, asked...)
					require.NoError(t, err)
					require.Equal(t, want && len(asked) < 9, each)
					for i, s := range found {
						name := ""
						if s != nil {
							require.Equal(t, asked[i], s.ID())
							name = string(s.Data)
						}
						names = append(names, name)
					}
					if len(asked) > 4 {
						require.NotSame(t, found[2], found[4], "each has a session of its own")
					}
					return names
				}
				require.Equal(t, []string{"c", "", "a", "", "a", "", "b"}, load(few...))
				require.Equal(t, []string{"b"}, load(ids["b"]))
				many := few
				for range 9 {
					s, err := store.Create(t.Context(), []byte("more"))
					require.NoError(t, err)
					many = append(many, s.ID())
				}
				require.Equal(t, []string{"c", "", "a", "", "a", "", "b"}, load(many...)[:7])

				if want {
					stuck(t, store, few, func() func() {
						tx, err := admin.Begin()
						require.NoError(t, err)
						_, err = tx.Exec("LOCK TABLE sessions")
						require.NoError(t, err)
						return func() { require.NoError(t, tx.Rollback()) }
					})
					require.Equal(t, []string{"c", "", "a", "", "a", "", "b"}, load(few...), "on another connection")
				}
			}
		})
	}
}

// TestFewSavedTogether: likewise a few saves. One that waits for a row does so for no longer than patience, and one that fails takes the
// others back with it: the calls are then sent alone.
func TestFewSavedTogether(t *testing.T) {
	t.Parallel()
	for _, kind := range dbtest.Kinds(dbtest.Postgres) {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			for mode, want := range map[string]bool{"cache_statement": true, "exec": false} {
				db := kind.New(t)
				cfg := storeConfig(kind, db)
				cfg.Application, cfg.Params = "shop", map[string]string{"default_query_exec_mode": mode}
				store := opened(t, cfg)
				cfg.Application = "office"
				other := opened(t, cfg)
				sessions := map[string]*entsession.Session{}
				create := func(in *entsession.Store, names ...string) {
					for _, name := range names {
						s, err := in.Create(t.Context(), []byte("new"))
						require.NoError(t, err)
						sessions[name] = s
					}
				}
				create(store, "a", "b", "ended", "changed")
				create(other, "other")
				require.NoError(t, store.Delete(t.Context(), sessions["ended"].ID()))
				changed, err := store.Load(t.Context(), sessions["changed"].ID())
				require.NoError(t, err)
				changed.Data = []byte("by someone else")
				require.NoError(t, store.Save(t.Context(), changed))

				saved, each, err := entsession.SaveTogether(t.Context(), store, sessions)
				require.NoError(t, err)
				require.Equal(t, want, each)
				require.Equal(t, map[string]bool{"a": true, "b": true, "ended": false, "changed": false, "other": false}, saved)
				data := func(s *entsession.Session) string {
					now, err := store.Load(t.Context(), s.ID())
					require.NoError(t, err)
					return string(now.Data)
				}
				for name, text := range map[string]string{"a": "a", "b": "b", "changed": "by someone else"} {
					require.Equal(t, text, data(sessions[name]))
				}

				clear(sessions)
				create(store, "c", "d", "e")
				admin := db.Super(t)
				_, err = admin.Exec("ALTER TABLE sessions ADD CONSTRAINT no_d CHECK (data <> 'd')")
				require.NoError(t, err)
				_, _, err = entsession.SaveTogether(t.Context(), store, sessions)
				require.Equal(t, fault.Constraint, fault.Of(err), "%v", err)
				require.Equal(t, "new", data(sessions["c"])+data(sessions["d"])[3:]+data(sessions["e"])[3:], "none of them was saved")

				delete(sessions, "d")
				for _, locked := range sessions { // whichever comes first
					tx, err := admin.Begin()
					require.NoError(t, err)
					_, err = tx.Exec("SELECT 1 FROM sessions WHERE id = $1 FOR UPDATE", entsession.Key(store, locked.ID()))
					require.NoError(t, err)
					_, _, err = entsession.SaveTogether(t.Context(), store, sessions)
					require.Equal(t, fault.Contention, fault.Of(err), "%v", err)
					require.NoError(t, tx.Rollback())
				}
				saved, _, err = entsession.SaveTogether(t.Context(), store, sessions)
				require.NoError(t, err)
				require.Equal(t, map[string]bool{"c": true, "e": true}, saved)

				create(store, "f", "g", "h", "i", "j", "k", "l")
				loaded := map[string]*entsession.Session{}
				for name, s := range sessions {
					now, err := store.Load(t.Context(), s.ID())
					require.NoError(t, err)
					loaded[name] = now
				}
				saved, each, err = entsession.SaveTogether(t.Context(), store, loaded)
				require.NoError(t, err)
				require.False(t, each, "nine are many")
				for name, ok := range saved {
					require.True(t, ok)
					require.Equal(t, name, data(loaded[name]))
				}
			}
		})
	}
}

func opened(t *testing.T, cfg entsession.Config) *entsession.Store {
	t.Helper()
	store, err := entsession.Open(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	require.NoError(t, store.Migrate(t.Context()))
	return store
}

// stuck has the statement timeout, and a context, end loads while the table is locked.
func stuck(t *testing.T, store *entsession.Store, ids []string, lock func() (unlock func())) {
	t.Helper()
	unlock := lock()
	defer unlock()
	_, each, err := entsession.LoadTogether(t.Context(), store, ids...)
	require.True(t, each)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	_, _, err = entsession.LoadTogether(ctx, store, ids...)
	require.ErrorIs(t, err, context.Canceled)
}

package entsession_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"entgo.io/ent/dialect/sql"
	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/ent/session"
	"github.com/entsession/entsession/internal/adapter"
	"github.com/entsession/entsession/internal/dbtest"
)

// diary is where the hooks of a test write.
type diary struct {
	mu     sync.Mutex
	events []entsession.Event
}

func (d *diary) write(e entsession.Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.events = append(d.events, e)
}

func (d *diary) read() []entsession.Event {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.events)
}

func (d *diary) hooks() entsession.Hooks {
	return entsession.Hooks{OnCreate: d.write, OnRevoke: d.write, OnExpire: d.write}
}

// lines waits for n events and gives kind, key and subject of each.
func (d *diary) lines(t *testing.T, n int) (out []string) {
	t.Helper()
	require.Eventually(t, func() bool { return len(d.read()) >= n }, 20*time.Second, time.Millisecond)
	for _, e := range d.read() {
		who, _ := e.Get(session.FieldSubject)
		out = append(out, fmt.Sprint(e.Kind, " ", e.Key, " ", who))
	}
	return out
}

// everyWay runs a test on all databases, with batches, without, and with every call in a batch.
func everyWay(t *testing.T, f func(e *commitEnv, open func(func(*entsession.Config)) *entsession.Store)) {
	t.Parallel()
	for _, kind := range dbtest.Kinds() {
		if kind.Name != "sqlite" && kind.Name != "postgres15" && kind.Name != "mariadb" {
			continue
		}
		for _, way := range []string{"batching", "alone", "together"} {
			t.Run(kind.Name+"/"+way, func(t *testing.T) {
				t.Parallel()
				e := newCommitEnv(t, kind, way != "together")
				f(e, func(change func(*entsession.Config)) *entsession.Store {
					return e.open(func(c *entsession.Config) {
						c.DisableBatching = way == "alone"
						change(c)
					})
				})
			})
		}
	}
}

func TestHooks(t *testing.T) {
	everyWay(t, func(e *commitEnv, open func(func(*entsession.Config)) *entsession.Store) {
		var d diary
		ctx := e.Context()
		store := open(func(c *entsession.Config) { c.Hooks = d.hooks() })
		ann := entsession.Set(session.FieldSubject, "ann")
		var want []string
		create := func(cols ...entsession.Column) *entsession.Session {
			s, err := store.Create(ctx, []byte("x"), cols...)
			require.NoError(e, err)
			who := any(nil)
			if len(cols) > 0 {
				who = cols[0].Value()
			}
			want = append(want, fmt.Sprint("create ", s.Key(), " ", who))
			return s
		}

		a := create(ann)
		require.NoError(e, store.Save(ctx, a))
		require.NoError(e, store.Touch(ctx, a.ID()))
		require.NoError(e, store.Delete(ctx, a.ID()))
		want = append(want, "delete "+a.Key()+" ann")
		require.NoError(e, store.Delete(ctx, a.ID()), "there is nothing to end any more, and nothing to tell")
		require.NoError(e, store.Delete(ctx, strings.Repeat("x", 43)))

		b := create()
		c, err := store.Rotate(ctx, b.ID(), entsession.Set(session.FieldSubject, "bob"))
		require.NoError(e, err)
		want = append(want, "rotate "+b.Key()+" <nil>")
		n, err := store.Revoke(ctx, session.Subject("bob"))
		require.NoError(e, err)
		require.Equal(e, 1, n)
		want = append(want, "revoke "+c.Key()+" bob")
		n, err = store.Revoke(ctx, session.Subject("bob"))
		require.NoError(e, err)
		require.Zero(e, n)
		_, err = store.Revoke(ctx, func(*sql.Selector) {})
		require.ErrorContains(e, err, "predicate 1 of 1 is empty")

		f := create(ann)
		e.exec("UPDATE sessions SET timeout = 12345 WHERE id = '" + f.Key() + "'")
		e.exec("UPDATE sessions SET timeout = -12345 WHERE id = '" + a.Key() + "'") // its grace is over
		require.NoError(e, store.Delete(ctx, f.ID()), "it has ended")
		n, err = store.Purge(ctx)
		require.NoError(e, err)
		require.Equal(e, 2, n)
		want = append(want, "expire "+f.Key()+" ann")

		written, err := adapter.Put(ctx, store, adapter.Write{Data: []byte("x"), Default: true, Columns: []entsession.Column{ann}})
		require.NoError(e, err)
		g := written.Session.(*entsession.Session)
		want = append(want, "create "+g.Key()+" ann")
		_, err = adapter.Put(ctx, store, adapter.Write{ID: g.ID(), Data: []byte("y"), Default: true, Loaded: g})
		require.NoError(e, err)
		_, err = adapter.Put(ctx, store, adapter.Write{ID: g.ID(), Loaded: g})
		require.NoError(e, err)
		want = append(want, "delete "+g.Key()+" ann")

		require.Equal(e, want, d.lines(e.T, len(want)))
		for _, event := range d.read() {
			switch event.Kind {
			case entsession.EventExpire:
				require.Equal(e, time.Unix(12346, 0), event.Time)
			case entsession.EventRotate:
				require.Equal(e, c.Key(), event.Successor)
			default:
				require.WithinDuration(e, time.Now(), event.Time, time.Minute)
			}
		}
		require.Eventually(e, func() bool {
			return store.Stats().Hooks == entsession.HookStats{Delivered: uint64(len(want))}
		}, 20*time.Second, time.Millisecond)
	})
}

// TestHooksTogether: many at once; each session's events come once each, and in order, also when several callers end it.
func TestHooksTogether(t *testing.T) {
	everyWay(t, func(e *commitEnv, open func(func(*entsession.Config)) *entsession.Store) {
		var d diary
		ctx := e.Context()
		store := open(func(c *entsession.Config) { c.Hooks = d.hooks() })
		const callers, each = 16, 6
		var wg sync.WaitGroup
		for i := range callers {
			wg.Go(func() {
				for range each {
					s, err := store.Create(ctx, nil, entsession.Set(session.FieldSubject, fmt.Sprint(i)))
					if err != nil {
						e.Errorf("create: %v", err)
						return
					}
					var enders sync.WaitGroup
					for range 2 {
						enders.Go(func() {
							if err := store.Delete(ctx, s.ID()); err != nil {
								e.Errorf("delete: %v", err)
							}
						})
					}
					enders.Wait()
				}
			})
		}
		wg.Wait()
		d.lines(e.T, 2*callers*each)
		require.NoError(e, store.Close())
		seen := map[string][]string{}
		for _, event := range d.read() {
			who, _ := event.Get(session.FieldSubject)
			seen[event.Key] = append(seen[event.Key], fmt.Sprint(event.Kind, who))
		}
		require.Len(e, seen, callers*each)
		for _, events := range seen {
			require.Len(e, events, 2)
			require.Equal(e, strings.Replace(events[0], "create", "delete", 1), events[1])
		}
	})
}

// TestHooksRevokeMany: more than one statement takes at a time, and more than the queue has room for.
func TestHooksRevokeMany(t *testing.T) {
	everyWay(t, func(e *commitEnv, open func(func(*entsession.Config)) *entsession.Store) {
		var d diary
		ctx := e.Context()
		first := make(chan struct{})
		hooks := d.hooks()
		hooks.OnCreate, hooks.OnRevoke, hooks.Queue = nil, func(event entsession.Event) { <-first; d.write(event) }, 10
		store := open(func(c *entsession.Config) { c.Hooks, c.PurgeBatch = hooks, 3 })
		for range 25 {
			_, err := store.Create(ctx, nil)
			require.NoError(e, err)
		}
		n, err := store.Revoke(ctx)
		require.NoError(e, err)
		require.Equal(e, 25, n)
		close(first)
		require.NoError(e, store.Close())
		stats := store.Stats().Hooks
		require.Equal(e, uint64(25), stats.Delivered+stats.Dropped)
		require.Len(e, d.read(), int(stats.Delivered))
		require.GreaterOrEqual(e, stats.Delivered, uint64(10))
	})
}

// TestHooksMisbehave: a hook that panics, one that ends its goroutine and one that hangs are nobody's trouble but its own.
func TestHooksMisbehave(t *testing.T) {
	t.Parallel()
	e := newCommitEnv(t, dbtest.Kinds(dbtest.SQLite)[0], true)
	ctx := t.Context()
	var log bytes.Buffer
	var heard []int
	hang := make(chan struct{})
	var store *entsession.Store
	store = e.open(func(c *entsession.Config) {
		c.Logger = slog.New(slog.NewTextHandler(&log, nil))
		c.Hooks.Queue = 2
		c.Hooks.OnCreate = func(event entsession.Event) {
			n, _ := event.Get(session.FieldSubject)
			switch n {
			case "0":
				panic("the hook's own")
			case "1":
				runtime.Goexit()
			case "2": // a hook may use the store
				if _, err := store.Revoke(ctx, session.Subject("0")); err != nil {
					panic(err)
				}
			case "3":
				<-hang
			}
			heard = append(heard, len(heard))
		}
	})
	create := func(n int) {
		_, err := store.Create(ctx, nil, entsession.Set(session.FieldSubject, fmt.Sprint(n)))
		require.NoError(t, err)
	}
	settled := func(want entsession.HookStats) {
		t.Helper()
		require.Eventually(t, func() bool { return store.Stats().Hooks == want }, 20*time.Second, time.Millisecond)
	}
	for n := range 3 {
		create(n)
		settled(entsession.HookStats{Delivered: uint64(n + 1), Panicked: 1})
	}
	create(3)
	settled(entsession.HookStats{Delivered: 3, Panicked: 1}) // it is in the hook's hands
	for range 5 {
		create(4)
	}
	settled(entsession.HookStats{Delivered: 3, Panicked: 1, Dropped: 3, Queue: 2})
	close(hang)
	require.NoError(t, store.Close())
	settled(entsession.HookStats{Delivered: 6, Panicked: 1, Dropped: 3})
	require.Len(t, heard, 4)
	require.Contains(t, log.String(), "the hook's own")
	require.Contains(t, log.String(), "dropped=3")
}

// TestHooksClose: Close waits for a hook, but not for ever.
func TestHooksClose(t *testing.T) {
	t.Parallel()
	e := newCommitEnv(t, dbtest.Kinds(dbtest.SQLite)[0], true)
	hang, began := make(chan struct{}), make(chan struct{}, 2)
	store := e.open(func(c *entsession.Config) {
		c.Hooks.OnCreate = func(entsession.Event) { began <- struct{}{}; <-hang }
	})
	for range 2 {
		_, err := store.Create(t.Context(), nil)
		require.NoError(t, err)
	}
	<-began
	entsession.HooksMayTake(store, time.Millisecond)
	require.NoError(t, store.Close())
	close(hang)
	require.Eventually(t, func() bool {
		return store.Stats().Hooks == entsession.HookStats{Delivered: 1, Dropped: 1}
	}, 20*time.Second, time.Millisecond, "what it gave up is not delivered late")
}

// TestHooksCloseRace: callers and Close at once. What was committed for a caller is delivered.
func TestHooksCloseRace(t *testing.T) {
	everyWay(t, func(e *commitEnv, open func(func(*entsession.Config)) *entsession.Store) {
		for range 3 {
			var d diary
			store := open(func(c *entsession.Config) { c.Hooks = d.hooks() })
			var mu sync.Mutex
			made := map[string]bool{}
			enough := make(chan struct{})
			var once sync.Once
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					for {
						s, err := store.Create(context.Background(), nil)
						if err != nil {
							return
						}
						mu.Lock()
						made[s.Key()] = true
						if len(made) > 30 {
							once.Do(func() { close(enough) })
						}
						mu.Unlock()
					}
				})
			}
			<-enough
			require.NoError(e, store.Close())
			delivered := d.read()
			wg.Wait()
			require.Len(e, d.read(), len(delivered), "nothing after Close")
			for _, event := range delivered {
				delete(made, event.Key)
			}
			require.Empty(e, made)
		}
	})
}

// TestHooksShowNoSecret: with plain ids the key would be the secret.
func TestHooksShowNoSecret(t *testing.T) {
	t.Parallel()
	e := newCommitEnv(t, dbtest.Kinds(dbtest.SQLite)[0], true)
	var d diary
	store := e.open(func(c *entsession.Config) { c.Hooks, c.PlainIDs = d.hooks(), true })
	hashed := e.open(nil)
	s, err := store.Create(t.Context(), nil, entsession.Set(session.FieldSubject, "ann"))
	require.NoError(t, err)
	_, err = store.Rotate(t.Context(), s.ID())
	require.NoError(t, err)
	d.lines(t, 2)
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("audit", "event", d.read()[1])
	text := fmt.Sprintf("%v %+v %#v %s", d.read()[0], d.read()[1], d.read()[0], d.read()[1]) + log.String()
	require.NotContains(t, text, s.ID())
	require.NotContains(t, text, "ann")
	require.Contains(t, text, d.read()[0].Key)
	_, err = hashed.Create(t.Context(), nil)
	require.NoError(t, err)
	require.Len(t, d.read()[1].Successor, 43)
}

// BenchmarkHooks makes and deletes a session: hooks that hear of neither cost nothing.
func BenchmarkHooks(b *testing.B) {
	hear := func(entsession.Event) {}
	for name, hooks := range map[string]entsession.Hooks{"none": {}, "OnExpire": {OnExpire: hear}, "OnCreate, OnRevoke": {OnCreate: hear, OnRevoke: hear}} {
		b.Run(name, func(b *testing.B) {
			store := migrated(b, dbtest.Kinds(dbtest.SQLite)[0].New(b), func(c *entsession.Config) { c.Hooks = hooks })
			b.ReportAllocs()
			for b.Loop() {
				s, err := store.Create(b.Context(), nil)
				if err == nil {
					err = store.Delete(b.Context(), s.ID())
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

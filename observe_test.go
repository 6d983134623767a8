package entsession_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/ent/session"
	"github.com/entsession/entsession/internal/adapter"
	"github.com/entsession/entsession/internal/dbtest"
)

// heard is an observer that keeps what it hears.
type heard struct {
	mu      sync.Mutex
	calls   []entsession.CallInfo
	names   []string
	batches []entsession.BatchInfo
	closed  int
}

func (h *heard) observer(*entsession.Store) *entsession.Observer {
	return &entsession.Observer{
		Call: func(ctx context.Context, operation string) (context.Context, func(entsession.CallInfo)) {
			return ctx, func(c entsession.CallInfo) {
				h.mu.Lock()
				defer h.mu.Unlock()
				h.calls, h.names = append(h.calls, c), append(h.names, operation)
			}
		},
		Batch: func(b entsession.BatchInfo) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.batches = append(h.batches, b)
		},
		Closed: func() { h.closed++ },
	}
}

// last takes what was heard since the last time.
func (h *heard) last() (all []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, name := range h.names {
		all = append(all, name+" "+h.calls[i].Outcome)
	}
	h.names, h.calls = nil, nil
	return all
}

func TestObserver(t *testing.T) {
	t.Parallel()
	h := &heard{}
	ctx := t.Context()
	s := storeOn(t, dbtest.Kinds(dbtest.SQLite)[0].New(t), func(c *entsession.Config) { c.Observer, c.MaxDataBytes = h.observer, 100 })
	_, err := s.Load(ctx, "0123456789012345678901")
	require.ErrorContains(t, err, "does not exist")
	require.Equal(t, []string{"load error"}, h.last())
	require.NoError(t, s.Migrate(ctx))

	a, err := s.Create(ctx, []byte("1"))
	require.NoError(t, err)
	b, err := s.Load(ctx, a.ID())
	require.NoError(t, err)
	a.Data = []byte("2")
	require.NoError(t, s.Save(ctx, a))
	require.NoError(t, s.Touch(ctx, a.ID()))
	require.NoError(t, s.Health(ctx))
	_, err = s.Usage(ctx)
	require.NoError(t, err)
	require.Equal(t, []string{"create ok", "load ok", "save ok", "touch ok", "health ok", "count ok"}, h.last())

	b.Data = []byte("3")
	require.ErrorIs(t, s.Save(ctx, b), entsession.ErrConflict)
	require.ErrorIs(t, s.Save(ctx, nil), entsession.ErrInvalidID)
	_, err = s.Create(ctx, make([]byte, 101))
	require.ErrorIs(t, err, entsession.ErrTooLarge)
	_, err = s.Create(ctx, nil, entsession.Set("nosuch", 1))
	require.Error(t, err)
	_, err = s.Load(ctx, "no id")
	require.ErrorIs(t, err, entsession.ErrNotFound)
	require.Equal(t, []string{"save conflict", "save refused", "create refused", "create refused", "load not_found"}, h.last())

	_, err = s.Update(ctx, a.ID(), func(*entsession.Session) error { return context.Canceled })
	require.Error(t, err)
	_, err = s.Update(ctx, a.ID(), func(s *entsession.Session) error { s.Data = []byte("4"); return nil })
	require.NoError(t, err)
	a, err = s.Rotate(ctx, a.ID())
	require.NoError(t, err)
	_, err = adapter.Put(ctx, s, adapter.Write{ID: a.ID(), Known: true}) // no lifetime: it ends
	require.NoError(t, err)
	_, err = s.Revoke(ctx, session.Subject("ann"))
	require.NoError(t, err)
	require.NoError(t, s.Delete(ctx, a.ID()))
	n, err := s.Purge(ctx)
	require.NoError(t, err)
	require.Zero(t, n, "of less age than the grace")
	require.Equal(t, []string{"update function", "update ok", "rotate ok", "commit ok", "revoke ok", "delete ok", "purge ok"}, h.last(), "a call within a call is none")

	gone, cancel := context.WithCancel(ctx)
	cancel()
	_, err = s.Load(gone, a.ID())
	require.ErrorIs(t, err, context.Canceled)
	late, cancel := context.WithDeadline(ctx, time.Now())
	defer cancel()
	require.ErrorIs(t, s.Touch(late, a.ID()), context.DeadlineExceeded)
	require.Equal(t, []string{"load canceled", "touch timeout"}, h.last())

	require.Zero(t, h.closed)
	require.NoError(t, s.Close())
	require.NoError(t, s.Close())
	require.Equal(t, 1, h.closed)
	_, err = s.Purge(ctx)
	require.ErrorIs(t, err, entsession.ErrClosed)
	require.Equal(t, []string{"purge closed"}, h.last())
	stats := s.Stats().Purge
	require.EqualValues(t, 1, stats.Runs)
	require.False(t, stats.Last.IsZero())
}

// TestObserverOfPanic: a call that a function of the application's ended with a panic was not ok, and leaves nothing behind that it held.
func TestObserverOfPanic(t *testing.T) {
	t.Parallel()
	h := &heard{}
	asked := func(context.Context) []entsession.Column { return nil }
	s := storeOn(t, dbtest.Kinds(dbtest.SQLite)[0].New(t), func(c *entsession.Config) {
		c.Observer, c.MaxOpenConns = h.observer, 1
		c.ColumnsFunc = func(ctx context.Context) []entsession.Column { return asked(ctx) }
	})
	ctx := t.Context()
	require.NoError(t, s.Migrate(ctx))
	sess, err := s.Create(ctx, []byte("1"))
	require.NoError(t, err)
	h.last()

	require.PanicsWithValue(t, "in f", func() { _, _ = s.Update(ctx, sess.ID(), func(*entsession.Session) error { panic("in f") }) })
	n := 0
	require.PanicsWithValue(t, "under the lock", func() {
		_, _ = s.Update(ctx, sess.ID(), func(*entsession.Session) error {
			if n++; n > 3 { // it has lost often enough to lock the row
				panic("under the lock")
			}
			other, err := s.Load(ctx, sess.ID())
			require.NoError(t, err)
			other.Data = []byte{'a' + byte(n)}
			require.NoError(t, s.Save(ctx, other))
			return nil
		})
	})
	require.Equal(t, 4, n)
	panicked := slices.DeleteFunc(h.last(), func(call string) bool { return call == "load ok" || call == "save ok" })
	require.Equal(t, []string{"update panic", "update panic"}, panicked)

	asked = func(context.Context) []entsession.Column { panic("in ColumnsFunc") }
	for name, call := range map[string]func(){
		"create": func() { _, _ = s.Create(ctx, nil) },
		"save":   func() { _ = s.Save(ctx, sess) },
		"rotate": func() { _, _ = s.Rotate(ctx, sess.ID()) },
		"update": func() { _, _ = s.Update(ctx, sess.ID(), func(*entsession.Session) error { return nil }) },
		"commit": func() { _, _ = adapter.Put(ctx, s, adapter.Write{ID: sess.ID(), Known: true, Lifetime: time.Hour}) },
	} {
		require.PanicsWithValue(t, "in ColumnsFunc", call)
		require.Equal(t, []string{name + " panic"}, h.last())
	}
	asked = func(context.Context) []entsession.Column { return nil }
	sess, err = s.Update(ctx, sess.ID(), func(s *entsession.Session) error { s.Data = []byte("2"); return nil })
	require.NoError(t, err)
	require.Equal(t, "2", string(sess.Data))
	require.Equal(t, []string{"update ok"}, h.last())
}

// TestObserverOfList: the body of the loop takes time that is not the store's.
func TestObserverOfList(t *testing.T) {
	t.Parallel()
	h := &heard{}
	s := storeOn(t, dbtest.Kinds(dbtest.SQLite)[0].New(t), func(c *entsession.Config) { c.Observer = h.observer })
	require.NoError(t, s.Migrate(t.Context()))
	for range 2 {
		_, err := s.Create(t.Context(), nil)
		require.NoError(t, err)
	}
	h.last()
	const body = 300 * time.Millisecond
	for _, err := range s.List(t.Context()) {
		require.NoError(t, err)
		<-time.After(body)
	}
	require.Less(t, h.calls[0].Duration, body)
	require.Equal(t, []string{"list ok"}, h.last())
	for range s.List(t.Context()) {
		break
	}
	require.Equal(t, []string{"list ok"}, h.last())
	require.NoError(t, s.Close())
	for _, err := range s.List(t.Context()) {
		require.Error(t, err)
	}
	require.Equal(t, []string{"list closed"}, h.last())
}

func TestObserverOfBatches(t *testing.T) {
	t.Parallel()
	h := &heard{}
	s := storeOn(t, dbtest.Kinds(dbtest.SQLite)[0].New(t), func(c *entsession.Config) {
		c.Observer = func(s *entsession.Store) *entsession.Observer {
			entsession.Together(s)
			return h.observer(s)
		}
	})
	require.NoError(t, s.Migrate(t.Context()))
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			sess, err := s.Create(t.Context(), nil)
			if err == nil {
				_, err = s.Load(t.Context(), sess.ID())
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, c := range h.calls {
		require.True(t, c.Batched)
	}
	sum := map[string]int{}
	for _, b := range h.batches {
		sum[b.Lane] += b.Size
		require.False(t, b.Failed)
		require.Positive(t, b.Duration)
	}
	require.Equal(t, map[string]int{"write": 20, "load": 20}, sum)
}

// lines are those that a logger wrote, without the time.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) all(t *testing.T) (out []map[string]any) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.buf.String()) {
		m := map[string]any{}
		require.NoError(t, json.Unmarshal([]byte(line), &m))
		out = append(out, m)
	}
	return out
}

func (l *lines) events(t *testing.T) (out []string) {
	t.Helper()
	for _, m := range l.all(t) {
		require.Equal(t, "sessions", m["table"])
		out = append(out, fmt.Sprint(m["event"]))
	}
	return out
}

// TestNoticeOfOutage: one line when the database is away however many calls fail, and one when it is back.
func TestNoticeOfOutage(t *testing.T) {
	t.Parallel()
	kind := dbtest.Kinds(dbtest.Postgres)
	server := kind[slices.IndexFunc(kind, func(k dbtest.Kind) bool { return k.Name == "postgres15" })].Start(t)
	log, h := &lines{}, &heard{}
	s := storeOn(t, server.New(t), func(c *entsession.Config) {
		c.Logger, c.Observer = slog.New(slog.NewJSONHandler(log, nil)), h.observer
	})
	require.NoError(t, s.Migrate(t.Context()))
	sess, err := s.Create(t.Context(), []byte("x"))
	require.NoError(t, err)
	require.NoError(t, server.Kill())
	for range 5 {
		_, err = s.Load(t.Context(), sess.ID())
		require.ErrorIs(t, err, entsession.ErrUnavailable)
	}
	require.NoError(t, server.Restart())
	require.Equal(t, []string{"database_away"}, log.events(t))
	require.Eventually(t, func() bool {
		_, _ = s.Load(t.Context(), sess.ID())
		return len(log.all(t)) > 1
	}, 20*time.Second, 20*time.Millisecond)
	_, err = s.Load(t.Context(), sess.ID())
	require.NoError(t, err)
	require.Equal(t, []string{"database_away", "database_back"}, log.events(t))
	away, back := log.all(t)[0], log.all(t)[1]
	require.Equal(t, "WARN", away["level"])
	require.Equal(t, "load", away["operation"])
	require.EqualValues(t, 1, away["calls"])
	require.NotEmpty(t, away["error"])
	require.Equal(t, "INFO", back["level"])
	require.GreaterOrEqual(t, back["calls"], 5.0)
	require.Positive(t, back["away"])
	require.True(t, slices.ContainsFunc(h.calls, func(c entsession.CallInfo) bool { return c.Retries > 0 && c.Outcome == entsession.OutcomeUnavailable }))
}

func TestNoticeOfOverload(t *testing.T) {
	t.Parallel()
	db := dbtest.Kinds(dbtest.SQLite)[0].New(t)
	log, h := &lines{}, &heard{}
	s := storeOn(t, db, func(c *entsession.Config) {
		c.Logger, c.Observer, c.MaxQueue = slog.New(slog.NewJSONHandler(log, nil)), h.observer, 1
	})
	require.NoError(t, s.Migrate(t.Context()))
	_, err := s.Create(t.Context(), nil)
	require.NoError(t, err)
	held, err := db.Admin(t).Conn(t.Context())
	require.NoError(t, err)
	_, err = held.ExecContext(t.Context(), "BEGIN IMMEDIATE")
	require.NoError(t, err)
	var wg sync.WaitGroup
	var refused int
	var mu sync.Mutex
	for range 10 {
		wg.Go(func() {
			if _, err := s.Create(t.Context(), nil); errors.Is(err, entsession.ErrOverloaded) {
				mu.Lock()
				refused++
				if refused == 3 { // enough of them
					_, _ = held.ExecContext(context.Background(), "ROLLBACK")
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	require.NoError(t, held.Close())
	require.GreaterOrEqual(t, refused, 3)
	require.Equal(t, []string{"overloaded"}, log.events(t), "one line for all of them")
	require.Contains(t, h.last(), "create overloaded")
}

func TestNoticeOfPurge(t *testing.T) {
	t.Parallel()
	log, h := &lines{}, &heard{}
	s := storeOn(t, dbtest.Kinds(dbtest.SQLite)[0].New(t), func(c *entsession.Config) {
		c.Logger, c.Observer = slog.New(slog.NewJSONHandler(log, nil)), h.observer
		c.DisableAutopurge, c.AutopurgeProbability, c.PurgeInterval = false, 1, -1
	})
	for s.Stats().Purge.Failed < 3 { // there is no table
		_, err := s.Load(t.Context(), "0123456789012345678901")
		require.Error(t, err)
	}
	require.NoError(t, s.Close())
	require.Equal(t, []string{"purge_failed"}, log.events(t), "one line for all of them")
	require.Contains(t, log.all(t)[0]["error"], "does not exist")
	require.Contains(t, h.last(), "purge error")
}

// BenchmarkObserver shows what the hook costs while nobody listens: the same calls with an observer that does nothing are beside it.
func BenchmarkObserver(b *testing.B) {
	for name, observer := range map[string]func(*entsession.Store) *entsession.Observer{
		"none": nil,
		"empty": func(*entsession.Store) *entsession.Observer {
			return &entsession.Observer{Call: func(ctx context.Context, _ string) (context.Context, func(entsession.CallInfo)) {
				return ctx, func(entsession.CallInfo) {}
			}}
		},
	} {
		b.Run(name, func(b *testing.B) {
			s := storeOn(b, dbtest.Kinds(dbtest.SQLite)[0].New(b), func(c *entsession.Config) { c.Observer = observer })
			require.NoError(b, s.Migrate(b.Context()))
			sess, err := s.Create(b.Context(), []byte("x"))
			require.NoError(b, err)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Load(b.Context(), sess.ID()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

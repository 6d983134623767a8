package conformance

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/ent/session"
	"github.com/entsession/entsession/internal/dbtest"
)

// killsVar is how often the server of testDurable is killed, such as 50.
const killsVar = "ENTSESSION_TEST_KILLS"

// ledger is what a caller was told of one session, under one id.
type ledger struct {
	key      string
	data     []string // that it may hold: one, or two while a change was not answered
	dead     bool
	mayDie   bool // a revocation was not answered
	extended bool // a Touch was answered
}

// testDurable kills the server again and again while callers work: what they were told is there when it comes back. The server flushes each commit as
// in production; that the disk then has it, a killed process can't tell.
func testDurable(t *testing.T, e *env) {
	if e.another() || e.mode.Name != "together" { // the stores below work in both ways
		return
	}
	kills := 2
	if text := os.Getenv(killsVar); text != "" {
		var err error
		kills, err = strconv.Atoi(text)
		require.NoError(t, err, killsVar)
	}
	server := e.db.Kind.Start(t, dbtest.Durable())
	db := server.New(t)
	own := &env{T: t, db: db, mode: Mode{}}
	brief := func(c *entsession.Config) { c.ExpirationTimeout, c.TouchInterval = 1000*time.Second, -1 }
	long := func(c *entsession.Config) { c.ExpirationTimeout, c.TouchInterval = 5000*time.Second, -1 }
	stores := []*entsession.Store{own.open(brief), own.open(brief, func(c *entsession.Config) { c.DisableBatching = true })}
	touching := own.open(long)
	require.NoError(t, stores[0].Migrate(ctx))
	total := 0
	for range kills {
		var answered atomic.Int64
		kill := make(chan struct{})
		enough := sync.OnceFunc(func() { close(kill) })
		target := int64(50 + rand.IntN(1000))
		ended, cancel := context.WithCancel(ctx)
		books := make([][]*ledger, 16)
		var wg sync.WaitGroup
		for i := range books {
			wg.Go(func() {
				w := &writer{store: stores[i%2], touching: touching, subject: fmt.Sprint("caller ", i), answered: func() {
					if answered.Add(1) >= target {
						enough()
					}
				}}
				for w.life(ended) == nil {
				}
				books[i] = w.book
			})
		}
		<-kill
		require.NoError(t, server.Kill())
		cancel()
		wg.Wait()
		require.NoError(t, server.Restart())
		rows := own.rowsOf(db)
		for _, book := range books {
			for _, l := range book {
				l.check(t, rows)
				total++
			}
		}
		for _, store := range append(stores, touching) {
			require.Eventually(t, func() bool { _, err := store.Create(ctx, []byte("works on")); return err == nil }, waitFor, tick)
		}
	}
	t.Logf("%d kills, %d ids looked at", kills, total)
}

// writer is a caller who writes down what he was told.
type writer struct {
	store, touching *entsession.Store
	subject         string
	answered        func()
	book            []*ledger
	n               int
}

// life is that of one session. It ends with the first error.
func (w *writer) life(ctx context.Context) error {
	say := func() string { w.n++; return fmt.Sprint(w.subject, " ", w.n) }
	first := say()
	s, err := w.store.Create(ctx, []byte(first), entsession.Set(session.FieldSubject, w.subject))
	if err != nil {
		return err
	}
	l := &ledger{key: s.Key(), data: []string{first}}
	w.book = append(w.book, l)
	w.answered()
	change := func(f func(text string) error) error {
		text := say()
		l.data = append(l.data, text)
		if err := f(text); err != nil {
			return err
		}
		l.data = []string{text}
		w.answered()
		return nil
	}
	save := func(text string) error { s.Data = []byte(text); return w.store.Save(ctx, s) }
	if err := change(save); err != nil {
		return err
	}
	if err := change(func(text string) error {
		_, err := w.store.Update(ctx, s.ID(), func(s *entsession.Session) error { s.Data = []byte(text); return nil })
		return err
	}); err != nil {
		return err
	}
	if err := w.touching.Touch(ctx, s.ID()); err != nil {
		return err
	}
	l.extended = true
	w.answered()
	end := func(f func() error) error {
		l.mayDie = true
		if err := f(); err != nil {
			return err
		}
		l.dead = true
		w.answered()
		return nil
	}
	var fresh *entsession.Session
	if err := end(func() (err error) { fresh, err = w.store.Rotate(ctx, s.ID()); return err }); err != nil {
		return err
	}
	l = &ledger{key: fresh.Key(), data: l.data}
	w.book = append(w.book, l)
	s = fresh
	if err := change(save); err != nil {
		return err
	}
	switch w.n % 3 {
	case 0:
		return end(func() error { return w.store.Delete(ctx, s.ID()) })
	case 1:
		return end(func() error {
			_, err := w.store.Revoke(ctx, session.Subject(w.subject), session.ID(s.Key()))
			return err
		})
	}
	return nil // it lives on
}

type stored struct {
	data    string
	timeout int64
}

// rowsOf reads the whole table on a handle of its own: the test's has lost its connections.
func (e *env) rowsOf(db *dbtest.DB) map[string]stored {
	e.Helper()
	admin := db.Admin(e)
	admin.SetMaxIdleConns(-1) // nothing is left open that the next kill would break
	rows, err := admin.QueryContext(ctx, "SELECT id, data, timeout FROM sessions")
	require.NoError(e, err)
	defer rows.Close()
	out := map[string]stored{}
	for rows.Next() {
		var key string
		var s stored
		require.NoError(e, rows.Scan(&key, &s.data, &s.timeout))
		out[strings.TrimRight(key, " ")] = s
	}
	require.NoError(e, rows.Err())
	return out
}

func (l *ledger) check(t *testing.T, rows map[string]stored) {
	t.Helper()
	row, ok := rows[l.key]
	require.True(t, ok, "a session that was created is gone")
	switch {
	case l.dead:
		require.Negative(t, row.timeout, "a session that was revoked lives")
	case row.timeout < 0:
		require.True(t, l.mayDie, "nobody has revoked it")
	default:
		require.True(t, slices.Contains(l.data, row.data), "it holds %q, and was to hold %q", row.data, l.data)
		if l.extended {
			require.Greater(t, row.timeout, time.Now().Unix()+3000, "the Touch is lost")
		}
	}
}

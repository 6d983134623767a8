package otelsession_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/ent/session"
	"github.com/entsession/entsession/internal/dbtest"
	"github.com/entsession/entsession/otelsession"
)

// TestNothingSecret: under load, while connections are killed, contexts end, columns are violated, the queue overflows and the store is closed, nothing
// emitted names an id, a stored key, a payload or a column's value.
func TestNothingSecret(t *testing.T) {
	t.Parallel()
	for _, kind := range dbtest.Kinds() {
		if kind.Name != "sqlite" && kind.Name != "postgres15" && kind.Name != "mariadb" {
			continue
		}
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			testNothingSecret(t, kind, kind.Dialect == dbtest.MySQL) // whose errors quote keys
		})
	}
}

// known are the secrets that a run has made.
type known struct {
	mu  sync.Mutex
	all []string
}

func (k *known) add(secrets ...string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.all = append(k.all, secrets...)
}

func (k *known) session(s *entsession.Session) {
	sum := sha256.Sum256([]byte(s.ID()))
	k.add(s.ID(), s.Key(), base64.RawURLEncoding.EncodeToString(sum[:]))
}

type locked struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// outcomes are those of the calls so far.
func outcomes(e *telemetry) map[attribute.Value]int {
	all := map[attribute.Value]int{}
	for _, s := range e.spans.GetSpans() {
		for _, a := range s.Attributes {
			if a.Key == otelsession.OutcomeKey {
				all[a.Value]++
			}
		}
	}
	return all
}

func testNothingSecret(t *testing.T, kind dbtest.Kind, plain bool) {
	e, log, secrets := newTelemetry(), &locked{}, &known{}
	e.cfg.UsageInterval = time.Nanosecond
	db := kind.New(t)
	store := open(t, db, func(c *entsession.Config) {
		c.Observer, c.PlainIDs, c.MaxOpenConns, c.MaxQueue = otelsession.New(e.cfg), plain, 2, 4
		c.Logger = slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		c.DisableAutopurge, c.AutopurgeProbability, c.PurgeInterval, c.PurgeGrace = false, 0.5, -1, -1
	})
	admin := db.Super(t)
	// A constraint whose violation quotes the value, and one that quotes the key.
	for _, text := range []string{"ALTER TABLE sessions ADD COLUMN device varchar(100)", "CREATE UNIQUE INDEX devices ON sessions (device)"} {
		_, err := admin.Exec(text)
		require.NoError(t, err)
	}
	taken := "device-" + rand.Text()
	secrets.add(taken, "payload-", "subject-")
	first, err := store.Create(t.Context(), []byte("payload-"+rand.Text()), entsession.Set("device", taken))
	require.NoError(t, err)
	secrets.session(first)

	emitted := e.text(t) // before there is too much trouble for a count
	var calls atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	for range 12 {
		wg.Go(func() {
			for ctx.Err() == nil {
				work(t.Context(), store, secrets, taken)
				calls.Add(1)
			}
		})
	}
	enough := func() bool { return calls.Load() > 100 && log.String() != "" && len(outcomes(e)) >= 6 }
	for begun := time.Now(); time.Since(begun) < time.Second || !enough(); time.Sleep(200 * time.Millisecond) {
		require.Less(t, time.Since(begun), time.Minute, "%d calls, outcomes %v, log %q", calls.Load(), outcomes(e), log.String())
		kill(admin, kind.Dialect)
		e.points(t)
	}
	cancel()
	go func() { _ = store.Close() }() // in the midst of calls
	for range 5 {
		work(t.Context(), store, secrets, taken)
	}
	wg.Wait()
	emitted += e.text(t)
	require.NoError(t, store.Close())
	text := emitted + e.text(t) + log.String()

	wanted := []string{"db.client.operation.duration", "entsession.sessions", "rotate sessions", "entsession.outcome"}
	if !plain || kind.Dialect != dbtest.MySQL { // where such a table's calls don't share statements
		wanted = append(wanted, "entsession.batch.size")
	}
	for _, want := range wanted {
		require.True(t, strings.Contains(text, want), want)
	}
	for _, secret := range secrets.all {
		require.NotEmpty(t, secret)
		if at := strings.Index(text, secret); at >= 0 {
			require.Fail(t, "a secret was emitted", "%s in …%s…", secret, text[max(0, at-200):min(len(text), at+200)])
		}
	}
}

// work does a bit of everything, right and wrong. Errors are what is looked for.
func work(ctx context.Context, store *entsession.Store, secrets *known, taken string) {
	subject := "subject-" + rand.Text()
	s, err := store.Create(ctx, []byte("payload-"+rand.Text()), entsession.Set(session.FieldSubject, subject))
	_, _ = store.Create(ctx, []byte("payload-"), entsession.Set("device", taken)) // unique
	_, _ = store.Create(ctx, []byte("payload-"), entsession.Set("nosuch", subject))
	forged := rand.Text()
	secrets.add(forged)
	_, _ = store.Load(ctx, forged)
	_ = store.Touch(ctx, "payload-\x00"+forged)
	if err != nil {
		return
	}
	secrets.session(s)
	short, cancel := context.WithTimeout(ctx, time.Millisecond)
	_, _ = store.Update(short, s.ID(), func(s *entsession.Session) error { s.Data = []byte("payload-2"); return nil })
	cancel()
	_, _ = store.Update(short, s.ID(), func(s *entsession.Session) error { return nil })
	_, _ = store.Update(ctx, s.ID(), func(*entsession.Session) error { return fmt.Errorf("payload-%s", subject) })
	_ = store.Save(ctx, s)
	s.Data = []byte("payload-3")
	_ = store.Save(ctx, s) // a conflict, unless the Update was late
	for range store.List(ctx, session.Subject(subject)) {
	}
	if r, err := store.Rotate(ctx, s.ID()); err == nil {
		secrets.session(r)
		_ = store.Save(ctx, r, entsession.Set("device", taken))
		_ = store.Delete(ctx, r.ID())
	}
	_, _ = store.Revoke(ctx, session.Subject(subject))
	_, _ = store.Purge(short)
	_ = store.Health(ctx)
}

// kill ends the connections to the test's database.
func kill(admin *sql.DB, dialect string) {
	switch dialect {
	case dbtest.Postgres:
		_, _ = admin.Exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
	case dbtest.MySQL:
		rows, err := admin.Query("SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()")
		if err != nil {
			return
		}
		var ids []int64
		for rows.Next() {
			var id int64
			if rows.Scan(&id) == nil {
				ids = append(ids, id)
			}
		}
		_ = rows.Close()
		for _, id := range ids {
			_, _ = admin.Exec(fmt.Sprintf("KILL %d", id))
		}
	}
}

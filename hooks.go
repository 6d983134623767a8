package entsession

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/entsession/entsession/internal/stmt"
	"github.com/entsession/entsession/internal/wire"
)

// Hooks hear of sessions that begin and end, after it is committed: for audit logs and metrics. Those that are nil cost nothing.
//
// A goroutine of the store's own calls them, one event after the other, from a queue. So no call of the store ever waits for a hook, and
// no hook can change what a call returns. An event is delivered at most once, and in the order in which this store learned of the commits: what
// one caller did one after the other comes in that order. It is not delivered, ever, when
//   - the queue is full: it is counted in Stats, as are those that a Close gave up;
//   - the process ends, or crashes, before its turn;
//   - the answer to a commit was lost and a second attempt can't tell whose work it finds: a Delete, Revoke or purge whose connection broke then;
//   - something else made the change: another process, another store, a migration, Client, SQL. Each store tells of its own calls only.
//
// So it is no ledger: what must be known for certain belongs into the database, in the application's own transaction.
//
// A hook that panics is logged (Config.Logger) and counted, and the next event goes on. A slow one delays only the events after it. A hook may use
// the store, but must not Close it. Close delivers what is queued for up to five seconds, and leaves a hook that takes longer behind.
type Hooks struct {
	// OnCreate hears of new sessions: of Create, and of an adapter. Event.Columns are those that were given.
	OnCreate func(Event)
	// OnRevoke hears of each live session that Delete or Revoke ended, and of the id that a Rotate ended. Event.Columns are the row's. On
	// MySQL, whose UPDATE returns nothing, they take a statement more, and are missing if that fails.
	OnRevoke func(Event)
	// OnExpire hears of sessions that ran out, at the time that this store's purge deletes them, and not of revoked ones, whose rows it deletes
	// too. Event.Columns are the row's.
	OnExpire func(Event)
	// Queue is how many events may wait. Defaults to 10,000.
	Queue int
}

// EventKind is what has happened to a session.
type EventKind string

// What has happened.
const (
	EventCreate EventKind = "create" // it was made
	EventDelete EventKind = "delete" // Delete ended it
	EventRevoke EventKind = "revoke" // Revoke ended it
	EventRotate EventKind = "rotate" // Rotate gave it another id, and ended this one
	EventExpire EventKind = "expire" // it ran out, and was purged
)

// Event is the beginning or the end of a session. Printing one shows the kind and the key, and no column.
type Event struct {
	Kind EventKind
	// Key is the SHA-256 of the session's id in base64url, which opens nothing: what Session.Key gives. With Config.PlainIDs, where that would be the
	// secret, it is the SHA-256 nevertheless.
	Key string
	// Successor is the key of the new id after a Rotate.
	Successor string
	// Application is Config.Application.
	Application string
	// Time is when this process learned that it was done, by its own clock. Of a session that ran out, the second after its last one, by the
	// database's.
	Time time.Time
	// Columns are extra columns, with the types of Session.Get; those of a Create as they were given.
	Columns []Column
}

// Get returns an extra column. The second result tells whether the event has it.
func (e Event) Get(column string) (any, bool) {
	for _, c := range e.Columns {
		if c.name == column {
			return c.value, true
		}
	}
	return nil, false
}

// String shows the kind and the key.
func (e Event) String() string { return fmt.Sprintf("%s %s", e.Kind, e.Key) }

// Format shows what String shows, whatever the verb.
func (e Event) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, e.String()) }

// LogValue shows all but the columns' values, which may be sensitive.
func (e Event) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("kind", string(e.Kind)), slog.String("key", e.Key), slog.Time("time", e.Time)}
	if e.Successor != "" {
		attrs = append(attrs, slog.String("successor", e.Successor))
	}
	if e.Application != "" {
		attrs = append(attrs, slog.String("application", e.Application))
	}
	return slog.GroupValue(attrs...)
}

// HookStats is what became of events.
type HookStats struct {
	// Delivered counts events that a hook has returned from, Panicked those of them that it panicked at, and Dropped those that no hook heard of.
	Delivered, Panicked, Dropped uint64
	// Queue is how many wait now.
	Queue int
}

// closeEvents is how long Close waits for hooks.
const closeEvents = 5 * time.Second

// events is the queue, and who empties it. The goroutine begins with the first event.
type events struct {
	hooks    Hooks
	log      func(level slog.Level, event, msg string, attrs ...slog.Attr)
	queue    chan *Event
	stop     chan struct{} // closed: deliver what there is, and end
	done     chan struct{} // closed: it ended
	begin    sync.Once
	patience time.Duration // of Close

	stopped, given               atomic.Bool // given: up
	delivered, panicked, dropped atomic.Uint64
	complained                   uint64 // what was dropped when it was last logged
}

// newEvents is nil without hooks.
func newEvents(h Hooks, log func(level slog.Level, event, msg string, attrs ...slog.Attr)) *events {
	if h.OnCreate == nil && h.OnRevoke == nil && h.OnExpire == nil {
		return nil
	}
	return &events{hooks: h, log: log, queue: make(chan *Event, h.Queue), stop: make(chan struct{}), done: make(chan struct{}), patience: closeEvents}
}

func (h Hooks) of(kind EventKind) func(Event) {
	switch kind {
	case EventCreate:
		return h.OnCreate
	case EventExpire:
		return h.OnExpire
	}
	return h.OnRevoke
}

// event begins an event, or gives nil if no hook wants it.
func (s *Store) event(kind EventKind, key string) *Event {
	if s.events == nil || s.events.hooks.of(kind) == nil {
		return nil
	}
	return &Event{Kind: kind, Key: s.shown(key), Application: s.cfg.Application}
}

// creation is the event of a Create.
func (s *Store) creation(key string, cols []Column) *Event {
	e := s.event(EventCreate, key)
	if e != nil {
		e.Columns = slices.Clone(cols)
	}
	return e
}

// shown is a stored id in the form that may be shown.
func (s *Store) shown(key string) string {
	if !s.cfg.PlainIDs {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// happened queues an event once it is committed, and never waits. Nil is none. Nobody may change it after that.
func (s *Store) happened(e *Event) {
	if e == nil {
		return
	}
	q := s.events
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	if !q.stopped.Load() {
		q.begin.Do(func() { go q.run() })
		select {
		case q.queue <- e:
			return
		default:
		}
	}
	q.dropped.Add(1)
}

// run delivers. A hook that ends its goroutine (runtime.Goexit) gets another one.
func (q *events) run() {
	over := false
	defer func() {
		if over {
			close(q.done)
			return
		}
		go q.run()
	}()
	for {
		select {
		case e := <-q.queue:
			q.deliver(e)
			continue
		default:
			q.complain()
		}
		select {
		case e := <-q.queue:
			q.deliver(e)
		case <-q.stop:
			if len(q.queue) == 0 {
				over = true
				return
			}
		}
	}
}

func (q *events) deliver(e *Event) {
	if q.given.Load() {
		q.dropped.Add(1)
		return
	}
	defer q.delivered.Add(1)
	defer func() {
		if r := recover(); r != nil {
			q.panicked.Add(1)
			q.log(slog.LevelError, "hook_panicked", "a hook panicked", slog.String("hook", string(e.Kind)), slog.Any("panic", r))
		}
	}()
	q.hooks.of(e.Kind)(*e)
}

// complain logs that events were dropped, once the queue is empty again.
func (q *events) complain() {
	if n := q.dropped.Load(); n > q.complained {
		q.log(slog.LevelWarn, "events_dropped", "events were dropped: the hooks are too slow for Hooks.Queue", slog.Uint64("dropped", n-q.complained))
		q.complained = n
	}
}

// close delivers what is queued, within its time.
func (q *events) close() {
	if q == nil {
		return
	}
	q.stopped.Store(true)
	q.begin.Do(func() { close(q.done) }) // there never was an event
	close(q.stop)
	timer := time.NewTimer(q.patience)
	defer timer.Stop()
	select {
	case <-q.done:
	case <-timer.C:
		q.given.Store(true)
		q.log(slog.LevelError, "hook_hangs", "a hook did not return: its store is closed without", slog.Int("dropped", len(q.queue)))
	}
}

func (q *events) stats() HookStats {
	if q == nil {
		return HookStats{}
	}
	return HookStats{Delivered: q.delivered.Load(), Panicked: q.panicked.Load(), Dropped: q.dropped.Load(), Queue: len(q.queue)}
}

// fill takes over the extra columns of a row, of which the first is column n.
func (e *Event) fill(set *stmt.Set, row wire.Row, n int) error {
	values, err := extras(set.Table, row, n)
	if err != nil {
		return err
	}
	e.Columns = make([]Column, len(values))
	for i, v := range values {
		e.Columns[i] = Set(set.Table.Extra[i], v)
	}
	return nil
}

// ended takes over the columns of rows that MySQL has ended. They stay what they were until the purge. An event without them is better than none.
func (s *Store) ended(ctx context.Context, set *stmt.Set, byKey map[string]*Event) {
	if len(byKey) == 0 || len(set.Table.Extra) == 0 {
		return
	}
	keys := make([]string, 0, len(byKey))
	for key := range byKey {
		keys = append(keys, key)
	}
	text, args := set.Ended(keys)
	err := s.db.Query(ctx, text, args, func(row wire.Row) error {
		if e := byKey[row.Key(0)]; e != nil {
			return e.fill(set, row, 1)
		}
		return nil
	})
	if err != nil {
		s.log(slog.LevelDebug, "events_bare", "events have no columns", slog.Any("error", s.fail("read what was ended", err, nil)))
	}
}

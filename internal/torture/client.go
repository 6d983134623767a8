package torture

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/ent"
	"github.com/entsession/entsession/ent/session"
	"github.com/entsession/entsession/internal/fault"
	"github.com/entsession/entsession/internal/history"
	_ "github.com/entsession/entsession/mysql"  // a campaign runs on all of them
	_ "github.com/entsession/entsession/sqlite" // a campaign runs on all of them
)

// client makes the calls of one store, in a process of its own or in this one.
type client struct {
	store  *entsession.Store
	cfg    config
	life   int // see seat
	timer  *timer
	before int // goroutines

	mu   sync.Mutex
	next uint64
	held map[uint64]*entsession.Session
}

// holds is how many session objects a client keeps for a later Save.
const holds = 256

func openClient(ctx context.Context, s setup) (*client, error) {
	cfg := s.Config
	c := &client{cfg: cfg, life: s.Life, held: map[uint64]*entsession.Session{}, before: runtime.NumGoroutine()}
	var err error
	for { // it may be started while its database is away
		if c.store, err = entsession.Open(ctx, cfg.store()); err == nil {
			break
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(20 * time.Millisecond):
		}
	}
	c.timer = startTimer()
	return c, nil
}

// do makes a call and answers.
func (c *client) do(r request) answer {
	a := answer{Seq: r.Seq}
	switch r.Op {
	case opGauge:
		a.Gauge = c.gauge()
		return a
	case opClose:
		a.Gauge.Before = c.before
		if err := c.close(); err != nil {
			a.Class, a.Text = "close", err.Error()
		}
		a.Gauge.After = settled(c.before)
		return a
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	a.Begin = now()
	ends := int64(1<<63 - 1) // when the context does
	if r.Limit > 0 {
		var release func()
		ctx, release = context.WithTimeout(ctx, r.Limit)
		defer release()
		ends = a.Begin + int64(r.Limit)
	}
	if r.Cancel > 0 {
		defer time.AfterFunc(r.Cancel, cancel).Stop()
		ends = min(ends, a.Begin+int64(r.Cancel))
	}
	err := c.call(ctx, r, &a)
	a.End = now()
	if a.End > ends {
		a.Over = time.Duration(a.End - ends)
		a.Late = c.timer.late(ends)
		if a.Over > overMost {
			a.Starved = c.timer.starved(ends)
		}
	} else {
		a.Late = c.timer.late(a.End - int64(time.Second))
	}
	if err != nil {
		a.Class = classify(err, a.End >= ends)
		a.Text = err.Error()
		a.Leak = names(err)
	}
	return a
}

func (c *client) call(ctx context.Context, r request, a *answer) (err error) {
	var sess *entsession.Session
	switch r.Op {
	case history.Create:
		sess, err = c.store.Create(ctx, r.Data, r.Cols.List()...)
	case history.Load:
		sess, err = c.store.Load(ctx, r.ID)
	case history.Save:
		c.mu.Lock()
		sess = c.held[r.Handle]
		c.mu.Unlock()
		if sess == nil || r.Life != c.life {
			return errGone
		}
		sess.Data = r.Data
		err = c.store.Save(ctx, sess, r.Cols.List()...)
	case history.Update:
		sess, err = c.store.Update(ctx, r.ID, func(s *entsession.Session) (err error) {
			sleep(ctx, r.Slow) // it may hold a lock
			s.Data, err = counted(s.Data, r.Write)
			s.Set(r.Cols.List()...)
			return err
		})
	case history.Touch:
		err = c.store.Touch(ctx, r.ID)
	case history.Rotate:
		sess, err = c.store.Rotate(ctx, r.ID, r.Cols.List()...)
	case history.Delete:
		err = c.store.Delete(ctx, r.ID)
	case history.Revoke:
		a.N, err = c.store.Revoke(ctx, session.Subject(r.Subject))
	case history.List:
		for s, lerr := range c.store.List(ctx, session.Subject(r.Subject)) {
			if lerr != nil {
				return lerr
			}
			a.Listed = append(a.Listed, c.seen(s))
		}
	case opPurge:
		a.N, err = c.store.Purge(ctx)
	case opHog:
		err = c.hog(ctx, r.Slow)
	default:
		return fmt.Errorf("no such operation: %s", r.Op)
	}
	if err == nil && sess != nil {
		a.Session = c.seen(sess)
	}
	return err
}

// seen keeps an object, in the place of an older one, and tells what it holds.
func (c *client) seen(s *entsession.Session) seen {
	out := seen{ID: s.ID(), Key: s.Key(), Data: s.Data}
	for column, into := range map[string]func(string) error{
		"subject": func(name string) (err error) { out.Subject, err = entsession.Get[string](s, name); return err },
		"seat":    func(name string) (err error) { out.Seat, err = entsession.Get[int64](s, name); return err },
	} {
		if _, ok := s.Get(column); !ok {
			continue // a new session has those columns only that it was given
		}
		if err := into(column); err != nil {
			out.Broken = err.Error()
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next++
	out.Handle = c.next
	c.held[c.next] = s
	delete(c.held, c.next-holds)
	return out
}

// hog takes every connection of the pool for a while, as callers do that are slow with the store's own ent client.
func (c *client) hog(ctx context.Context, d time.Duration) error {
	var txs []*ent.Tx
	defer func() {
		for _, tx := range txs {
			_ = tx.Rollback() // nothing was done in it
		}
	}()
	for range c.cfg.MaxOpenConns {
		tx, err := c.store.Client().BeginTx(ctx, &sql.TxOptions{ReadOnly: true}) // or SQLite has one only
		if err != nil {
			return err
		}
		txs = append(txs, tx)
	}
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
	return nil
}

func (c *client) close() error {
	err := c.store.Close()
	c.timer.stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.held)
	return err
}

func (c *client) gauge() Gauge {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	pool := c.store.Stats().Pool
	return Gauge{Goroutines: runtime.NumGoroutine(), Heap: m.HeapAlloc, Open: pool.OpenConnections, InUse: pool.InUse, Before: c.before}
}

// settled waits a moment until no more goroutines are left than there were.
func settled(want int) (n int) {
	for range 200 {
		if n = runtime.NumGoroutine(); n <= want {
			break
		}
		time.Sleep(10 * time.Millisecond) // goroutines tell nobody that they have ended
	}
	return n
}

// errGone means that the client does not hold the object any more: nothing was called.
var errGone = errors.New("the object is gone")

// Classes of errors that the campaign has an opinion on. The others are named after their fault.Kind.
const (
	classNotFound   = "not found"
	classConflict   = "conflict"
	classOverloaded = "overloaded"
	classGone       = "gone"
	classContext    = "its context ended"
	classTimeout    = "statement timeout"
	classUnsure     = "outcome unknown"
	classDied       = "client died"
)

// classify names what kind of error it is. over says that the call's context has ended, which the network may notice before the context does.
func classify(err error, over bool) string {
	switch {
	case errors.Is(err, entsession.ErrNotFound):
		return classNotFound
	case errors.Is(err, entsession.ErrConflict):
		return classConflict
	case errors.Is(err, entsession.ErrOverloaded):
		return classOverloaded
	case err == errGone:
		return classGone
	case over:
		return classContext
	case errors.Is(err, context.DeadlineExceeded):
		return classTimeout
	case strings.Contains(err.Error(), "outcome unknown"):
		return classUnsure
	}
	return fault.Of(err).String()
}

// secret is what an id and its stored form look like.
var secret = regexp.MustCompile(`[A-Za-z0-9_-]{43}`)

// names tells whether an error shows an id, whatever way it is printed.
func names(err error) bool { return secret.MatchString(fmt.Sprintf("%v %+v %#v", err, err, err)) }

package entsession

import (
	"context"
	"errors"
	"hash/maphash"
	"math"
	"slices"
	"time"

	"entgo.io/ent/dialect"

	"github.com/entsession/entsession/internal/adapter"
	"github.com/entsession/entsession/internal/fault"
	"github.com/entsession/entsession/internal/stmt"
)

// What the adapters to session managers write. A manager brings an id and an expiry of its own, and as a rule no version. Two kinds of write
// keep revocation and expiry final nevertheless: what was a session before is updated while it is live, and is never inserted again, be its
// row still there or purged long ago; what is new is inserted, and never overwrites anything.

func init() {
	adapter.Put = func(ctx context.Context, store any, w adapter.Write) (adapter.Result, error) {
		s, ok := store.(*Store)
		if !ok || s == nil {
			return adapter.Result{}, errors.New("entsession: commit: the store is nil")
		}
		return s.commit(ctx, w)
	}
}

// errTaken is for an id that the manager takes for new, while there is a live session under it.
var errTaken = errors.New("there is a session under this id, which this request has not loaded: it is not overwritten")

func (s *Store) commit(ctx context.Context, w adapter.Write) (_ adapter.Result, err error) {
	ctx, c := s.observe(ctx, "commit", &err)
	defer c.done(&err)
	if w.ID == "" {
		w.ID = newID()
	}
	r, ok := s.lookup(w.ID)
	if err := s.begin(ctx); err != nil {
		return adapter.Result{}, s.fail("commit", err, r)
	}
	if !ok {
		return adapter.Result{}, errors.New("entsession: commit: the id is none: it must be printable ASCII without blanks, of at most 72 characters")
	}
	if w.Lifetime <= 0 && !w.Default {
		return adapter.Result{Ended: true}, s.Delete(ctx, w.ID)
	}
	p := &put{store: s, ref: r, known: w.Known, guarded: w.Guarded, same: w.Same, version: newVersion()}
	p.loaded, _ = w.Loaded.(*Session)
	named, _ := w.Columns.([]Column)
	p.lifetime = seconds(w.Lifetime)
	if w.Default {
		p.lifetime = int64((s.cfg.ExpirationTimeout + s.cfg.TouchInterval) / time.Second)
	}
	p.sess = &Session{Data: slices.Clone(w.Data), ref: r}
	if p.loaded != nil {
		p.known = true
		p.loaded.mu.Lock()
		defer p.loaded.mu.Unlock()
		if p.loaded.ref != nil && p.loaded.ref.id == "" { // of List: the id is not known, the key is
			p.ref, p.sess.ref = p.loaded.ref, p.loaded.ref
		}
		p.sess.created, p.sess.columns, p.sess.values = p.loaded.created, p.loaded.columns, p.loaded.values
		p.sess.staged = slices.Clone(p.loaded.staged)
	}
	for _, c := range named {
		if !p.loaded.holds(c) {
			p.sess.staged = stage(p.sess.staged, c)
		}
	}
	p.sess.staged = s.fromContextFor(ctx, p.loaded, p.sess.staged)
	err = s.encoded(w.Data, func(text string) error { return p.run(ctx, text) })
	if errors.Is(err, ErrNotFound) {
		return adapter.Result{Ended: true}, nil
	}
	if err != nil {
		return adapter.Result{}, s.fail("commit", err, p.ref)
	}
	return adapter.Result{Session: p.sess}, nil
}

// seconds rounds up, within what every table's timeout takes.
func seconds(d time.Duration) int64 {
	return int64(min((d+time.Second-1)/time.Second, math.MaxInt32))
}

// put is a Write under way.
type put struct {
	store    *Store
	ref      *ref
	sess     *Session // as it will be
	loaded   *Session
	known    bool
	guarded  bool
	same     bool
	lifetime int64 // seconds
	version  int64
}

func (p *put) run(ctx context.Context, text string) error {
	return p.store.retry(ctx, func(ctx context.Context, set *stmt.Set, a attempt) error {
		names, values, err := p.store.columns(ctx, p.store.db, &set, p.sess.staged)
		if err != nil {
			return err
		}
		if p.loaded != nil && len(names) == 0 && !a.unsure && (p.same || !p.loaded.null && p.loaded.sum == maphash.String(seed, text)) {
			if done, err := p.unchanged(ctx, set); done || err != nil {
				return err
			}
		}
		row := stmt.Row{Key: p.ref.key, Text: text, Version: p.version, Values: values}
		timeout, err := int64(0), error(nil)
		if p.known {
			timeout, err = p.update(ctx, set, names, row, a)
		} else {
			timeout, err = p.insert(ctx, set, names, row, a)
		}
		if err != nil {
			return err
		}
		p.sess.written(set, text, p.version, timeout)
		return nil
	})
}

// unchanged is for a session of which nothing is to be changed: as long as it lives for about as long as it is to, there is nothing to write,
// and nothing that someone else's change could be in the way of.
func (p *put) unchanged(ctx context.Context, set *stmt.Set) (done bool, err error) {
	s := p.store
	l := newLone()
	defer l.release()
	var st state
	l.args = set.Commits().DueArgs(l.args, &p.ref.key, set.Over(p.lifetime), &s.cfg.Application)
	l.set, l.state = set, &st
	if err := l.query(ctx, s.db, set.Commits().Due()); err != nil {
		return false, err
	}
	if st.due {
		return false, nil
	}
	// The version stays the one that was loaded: whatever others have written since, this request has not seen it.
	p.sess.version, p.sess.timeout = p.loaded.version, st.timeout
	p.sess.sum, p.sess.null, p.sess.stored = p.loaded.sum, p.loaded.null, p.loaded.stored
	return true, nil
}

// update writes a session that was there before.
func (p *put) update(ctx context.Context, set *stmt.Set, names []string, row stmt.Row, a attempt) (int64, error) {
	s := p.store
	if p.guarded {
		row.Guard = p.loaded.version
		if !p.loaded.null {
			row.Stored = p.loaded.stored
		}
	}
	life := set.Over(p.lifetime)
	if p.loaded != nil {
		row.Timeout = set.Commits().Staying(p.loaded.timeout, p.loaded.created, life)
	}
	for {
		timeout, ok, err := p.send(ctx, set, names, row, nil, a, func(row *stmt.Row) (string, []any, bool) {
			if row.Timeout > 0 {
				return set.Commits().UpdateUnrenewed(names, p.guarded), set.Commits().UpdateUnrenewedArgs(nil, row, life, p.guarded, &s.cfg.Application), false
			}
			return set.Commits().Update(names, p.guarded), set.Commits().UpdateArgs(nil, row, life, p.guarded, &s.cfg.Application), true
		})
		switch {
		case err != nil || ok:
			return timeout, err
		case !p.guarded && row.Timeout == 0:
			return 0, ErrNotFound
		case !p.guarded:
			row.Timeout = 0 // it is to be renewed, or gone
			continue
		}
		now, err := s.checkOn(ctx, s.db, set, p.ref)
		switch {
		case err != nil:
			return 0, &undone{err}
		case set.Table.HasVersion && now.version == p.version:
			return now.timeout, nil // the version is random: an attempt wrote it whose answer did not tell
		case row.Timeout > 0 && now.version == row.Guard:
			row.Timeout = 0
		case a.unsure:
			return 0, a.unknown("the session was changed again since")
		default:
			return 0, ErrConflict
		}
	}
}

// insert writes a session that is new.
func (p *put) insert(ctx context.Context, set *stmt.Set, names []string, row stmt.Row, a attempt) (int64, error) {
	s := p.store
	e := s.creation(row.Key, p.sess.staged)
	timeout, ok, err := p.send(ctx, set, names, row, e, a, func(row *stmt.Row) (string, []any, bool) {
		return set.Commits().Insert(names), set.Commits().InsertArgs(nil, row, set.Over(p.lifetime), &s.cfg.Application), true
	})
	duplicate := err != nil && set.Table.Dialect == dialect.MySQL && fault.Of(err) == fault.Duplicate
	if err != nil && !duplicate {
		return 0, err
	}
	if ok && (set.Table.Dialect != dialect.MySQL || len(set.Table.Computed) == 0) {
		return timeout, nil
	}
	// There is a row: an attempt's that lost its answer, a dead one, or someone else's. On MySQL the answer may also be that of another unique column.
	now, perr := s.checkOn(ctx, s.db, set, p.ref)
	switch {
	case errors.Is(perr, ErrNotFound) && duplicate:
		n, perr := queryInt(ctx, s.db, set.Commits().There(), []any{p.ref.key})
		if perr != nil {
			return 0, &undone{perr}
		}
		if n == 0 {
			return 0, err // a unique column of the application's
		}
		return 0, ErrNotFound
	case perr != nil:
		return 0, &undone{perr}
	case ok, a.unsure && (!set.Table.HasVersion || now.version == p.version):
		if !ok {
			s.happened(e) // an attempt that lost its answer wrote it
		}
		return now.timeout, nil
	}
	return 0, errTaken
}

// send sends a statement for one row: in SQLite's next transaction, or by itself.
func (p *put) send(ctx context.Context, set *stmt.Set, names []string, row stmt.Row, e *Event, a attempt, statement func(*stmt.Row) (text string, args []any, answers bool)) (timeout int64, ok bool, err error) {
	s := p.store
	lone := func() error {
		one := newLone()
		defer one.release()
		one.row = row
		var text string
		var answers bool
		text, one.args, answers = statement(&one.row)
		err := s.write(ctx, func() (err error) {
			timeout, ok, err = one.change(ctx, s.db, set, text, answers)
			return err
		})
		if err == nil && ok {
			s.happened(e)
		}
		return err
	}
	l := s.lanesFor(set)
	own := row // a batch may go on after its caller has left
	if l == nil || l.write == nil || a.unsure || s.hot.has(row.Key) || !l.elements(names, &own) {
		err = lone()
		return timeout, ok, err
	}
	w := writing{row: own, event: e}
	w.text, w.args, w.rows = statement(&own)
	w, batched, err := ride(ctx, l.write, w, size(row), lone)
	if batched {
		s.batched(ctx)
		return w.timeout, w.ok, err
	}
	return timeout, ok, err
}

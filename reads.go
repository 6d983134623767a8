package entsession

import (
	"context"
	"database/sql/driver"
	"fmt"
	"slices"
	"strings"

	"github.com/entsession/entsession/internal/batch"
	"github.com/entsession/entsession/internal/stmt"
	"github.com/entsession/entsession/internal/wire"
)

// reading is a call that reads one session.
type reading struct {
	ref   *ref
	sess  *Session // Load's answer, nil if there is no such live session
	state *state   // Check's
}

// state is what is known of a session without reading its payload.
type state struct {
	due     bool // its renewal
	timeout int64
	version int64
}

// fetch loads a session.
func (s *Store) fetch(ctx context.Context, set *stmt.Set, r *ref) (sess *Session, err error) {
	lone := func() error {
		sess, err = s.readAlone(ctx, set, r)
		return err
	}
	l := s.lanesFor(set)
	if l == nil {
		err = lone()
		return sess, err
	}
	v, batched, err := ride(ctx, l.load, reading{ref: r}, 0, lone)
	if !batched {
		return sess, err
	}
	s.batched(ctx)
	if err == nil && v.sess == nil {
		err = ErrNotFound
	}
	return v.sess, err
}

// readAlone runs Fetch, or Load where that can't be.
func (s *Store) readAlone(ctx context.Context, set *stmt.Set, r *ref) (*Session, error) {
	if pool, ok := s.db.(*wire.Pool); !ok || !pool.Prepares() || set.Fetch == "" {
		return s.read(ctx, s.db, set, set.Load, r)
	}
	l := newLone()
	defer l.release()
	l.args, l.set, l.sess, l.judge = append(l.args, &r.key), set, &Session{ref: r}, &s.cfg.Application
	if err := l.query(ctx, s.db, set.Fetch); err != nil {
		return nil, err
	}
	if l.sess == nil { // it was not live
		return nil, ErrNotFound
	}
	return l.sess, nil
}

// check looks at a session.
func (s *Store) check(ctx context.Context, set *stmt.Set, r *ref) (st state, err error) {
	lone := func() error {
		st, err = s.checkOn(ctx, s.db, set, r)
		return err
	}
	l := s.lanesFor(set)
	if l == nil {
		err = lone()
		return st, err
	}
	v, batched, err := ride(ctx, l.check, reading{ref: r}, 0, lone)
	if !batched {
		return st, err
	}
	s.batched(ctx)
	if err == nil && v.state == nil {
		err = ErrNotFound
	}
	if err != nil {
		return st, err
	}
	return *v.state, nil
}

// checkOn is check on a connection or in a transaction; nil: by itself.
func (s *Store) checkOn(ctx context.Context, q wire.Querier, set *stmt.Set, r *ref) (st state, err error) {
	if q == nil {
		return s.check(ctx, set, r)
	}
	l := newLone()
	defer l.release()
	l.args = set.Key(l.args, &r.key, &s.cfg.Application)
	l.set, l.state = set, &st
	err = l.query(ctx, q, set.Check)
	return st, err
}

func (st *state) fill(set *stmt.Set, row wire.Row) error {
	due, err := row.Int(0)
	if err != nil {
		return err
	}
	st.due = due == 1
	if st.timeout, err = row.Int(1); err != nil || !set.Table.HasVersion {
		return err
	}
	st.version, err = row.Int(2)
	return err
}

func (l *lanes) runLoad(ctx context.Context, _ *batch.Lane[reading], calls []*batch.Call[reading]) error {
	sorted, keys := byKey(calls)
	if err := l.fetchEach(ctx, sorted, keys); err != driver.ErrSkip {
		return err
	}
	return l.each(ctx, l.text.Load, sorted, keys, l.fillAll)
}

// fetchEach runs Fetch once for each session, in one trip: for a few of them that costs the server less than to look for all at once. The error is
// driver.ErrSkip if there are too many, or it can't be done.
func (l *lanes) fetchEach(ctx context.Context, sorted []*batch.Call[reading], keys []string) error {
	pool, ok := l.store.db.(*wire.Pool)
	if !ok || l.set.Fetch == "" || len(keys) > l.store.pipelined {
		return driver.ErrSkip
	}
	statement := func(i int, args []any) (string, []any) { return l.set.Fetch, append(args, &keys[i]) }
	return pool.Each(ctx, len(keys), statement, func(i int, row wire.Row) error {
		live, err := l.set.Judged(row, l.store.cfg.Application)
		if err != nil || !live {
			return err
		}
		first, _ := slices.BinarySearchFunc(sorted, keys[i], func(c *batch.Call[reading], key string) int { return strings.Compare(c.Val.ref.key, key) })
		return l.fillAll(same(sorted, first), row.From(stmt.FetchColumns))
	}, nil)
}

// fillAll hands a row to the calls that asked for it: each has a session of its own.
func (l *lanes) fillAll(same []*batch.Call[reading], row wire.Row) error {
	for _, c := range same {
		sess := &Session{ref: c.Val.ref}
		if err := sess.fill(l.set, row); err != nil {
			return err
		}
		c.Val.sess = sess
	}
	return nil
}

func (l *lanes) runCheck(ctx context.Context, _ *batch.Lane[reading], calls []*batch.Call[reading]) error {
	sorted, keys := byKey(calls)
	return l.each(ctx, l.text.Check, sorted, keys, func(same []*batch.Call[reading], row wire.Row) error {
		st := &state{}
		for _, c := range same {
			c.Val.state = st
		}
		return st.fill(l.set, row)
	})
}

// byKey sorts the calls of a batch, and gives the ids that they ask for. Several may ask for one, which is read once.
func byKey(calls []*batch.Call[reading]) (sorted []*batch.Call[reading], keys []string) {
	sorted = slices.Clone(calls)
	slices.SortFunc(sorted, func(a, b *batch.Call[reading]) int { return strings.Compare(a.Val.ref.key, b.Val.ref.key) })
	keys = make([]string, 0, len(sorted))
	for i, c := range sorted {
		if i == 0 || c.Val.ref.key != sorted[i-1].Val.ref.key {
			keys = append(keys, c.Val.ref.key)
		}
	}
	return sorted, keys
}

// same are the calls for one id, of which the first is known.
func same(sorted []*batch.Call[reading], first int) []*batch.Call[reading] {
	n := first + 1
	for n < len(sorted) && sorted[n].Val.ref.key == sorted[first].Val.ref.key {
		n++
	}
	return sorted[first:n]
}

// each runs a statement over the sessions of a batch and hands each row to the calls that asked for it.
func (l *lanes) each(ctx context.Context, many *stmt.Many, sorted []*batch.Call[reading], keys []string, f func([]*batch.Call[reading], wire.Row) error) error {
	args := l.set.KeyArgs(make([]any, 0, 2), keys, l.store.cfg.Application)
	return l.store.db.Query(ctx, many.Text(len(keys)), args, func(row wire.Row) error {
		first, ok := find(sorted, row)
		if !ok {
			return fmt.Errorf("the database returned a session that was not asked for")
		}
		return f(same(sorted, first), row.From(1))
	})
}

// find finds the first call for a row's id.
func find(sorted []*batch.Call[reading], row wire.Row) (int, bool) {
	return slices.BinarySearchFunc(sorted, row, func(c *batch.Call[reading], row wire.Row) int { return -row.Compare(0, c.Val.ref.key) })
}

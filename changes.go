package entsession

import (
	"context"
	"database/sql/driver"
	"slices"
	"strings"

	"entgo.io/ent/dialect"

	"github.com/entsession/entsession/internal/batch"
	"github.com/entsession/entsession/internal/stmt"
	"github.com/entsession/entsession/internal/wire"
)

// What a batch of changes does. Its answers go into the calls: see writing.

// runStatements runs SQLite's changes one after the other in one transaction. SQLite undoes a statement that fails, and only that.
func (l *lanes) runStatements(ctx context.Context, _ *batch.Lane[writing], calls []*batch.Call[writing]) error {
	if len(calls) == 1 { // a transaction of its own
		c := calls[0]
		err := l.store.write(ctx, func() error { return c.Val.run(ctx, l.store.db, l.set) })
		switch {
		case rows(err):
			c.Err, err = err, nil
		case err == nil:
			l.happened(calls)
		}
		return err
	}
	err := l.store.atomically(ctx, func(ctx context.Context, q wire.Querier) error {
		// For a context that can end, the driver starts a goroutine at each statement, to interrupt it. Once the first has the lock, none waits any more.
		life, endless := ctx, context.WithoutCancel(ctx)
		for _, c := range calls {
			if err := ctx.Err(); err != nil {
				return err
			}
			w := &c.Val
			err := w.run(life, q, l.set)
			switch {
			case err == nil:
				life = endless
				continue
			case !rows(err):
				return err
			}
			// A trigger or a constraint may end the whole transaction (RAISE(ROLLBACK, …), ON CONFLICT ROLLBACK). There is no asking, but a
			// second one can begin only then.
			if _, began := q.Exec(ctx, "BEGIN", nil); began == nil {
				return err
			}
			c.Err = err
		}
		return nil
	})
	if err == nil {
		l.happened(calls)
	}
	return err
}

// happened tells of what a batch has committed, also to those of its callers that have left.
func (l *lanes) happened(calls []*batch.Call[writing]) {
	if l.store.events == nil {
		return
	}
	for _, c := range calls {
		if c.Val.ok && c.Err == nil && !c.IsAlone() {
			l.store.happened(c.Val.event)
		}
	}
}

func (w *writing) run(ctx context.Context, q wire.Querier, set *stmt.Set) error {
	w.ok, w.timeout = false, 0
	if w.event != nil && !w.rows { // a Delete
		return q.Query(ctx, set.Telling(w.text), w.args, func(row wire.Row) error {
			w.ok = true
			return w.event.fill(set, row, 1)
		})
	}
	if w.rows {
		return q.Query(ctx, w.text, w.args, func(row wire.Row) (err error) {
			w.ok = true
			w.timeout, err = row.Int(0)
			return err
		})
	}
	n, err := exec(ctx, q, w.text, w.args)
	w.ok, w.timeout = n > 0, w.row.Timeout
	return err
}

// sorted sorts a batch by key, as everyone who locks several rows does, and takes out further calls for a key that is in it already.
func sorted(calls []*batch.Call[writing]) (unique, further []*batch.Call[writing]) {
	unique = slices.Clone(calls)
	slices.SortStableFunc(unique, func(a, b *batch.Call[writing]) int { return strings.Compare(a.Val.row.Key, b.Val.row.Key) })
	n := 0
	for i, c := range unique {
		if i > 0 && c.Val.row.Key == unique[n-1].Val.row.Key {
			further = append(further, c)
			continue
		}
		unique[n] = c
		n++
	}
	return unique[:n], further
}

func keysOf(calls []*batch.Call[writing]) []string {
	keys := make([]string, len(calls))
	for i, c := range calls {
		keys[i] = c.Val.row.Key
	}
	return keys
}

func rowsOf(calls []*batch.Call[writing]) []stmt.Row {
	out := make([]stmt.Row, len(calls))
	for i, c := range calls {
		out[i] = c.Val.row
	}
	return out
}

// seen finds the call of a returned row.
func seen(sorted []*batch.Call[writing], row wire.Row) (*batch.Call[writing], bool) {
	i, ok := slices.BinarySearchFunc(sorted, row, func(c *batch.Call[writing], row wire.Row) int { return -row.Compare(0, c.Val.row.Key) })
	if !ok {
		return nil, false
	}
	return sorted[i], true
}

// ofKey finds the call of a key that is among them.
func ofKey(sorted []*batch.Call[writing], key string) *batch.Call[writing] {
	i, _ := slices.BinarySearchFunc(sorted, key, func(c *batch.Call[writing], key string) int { return strings.Compare(c.Val.row.Key, key) })
	return sorted[i]
}

func (l *lanes) runInsert(many *stmt.Many, columns int) func(context.Context, *batch.Lane[writing], []*batch.Call[writing]) error {
	return func(ctx context.Context, _ *batch.Lane[writing], calls []*batch.Call[writing]) error {
		unique, _ := sorted(calls) // new ids are random: no further ones
		args := l.set.InsertArgs(rowsOf(unique), columns, l.store.cfg.Application)
		timeout, err := l.inserted(ctx, many.Text(len(unique)), args)
		if err != nil {
			return err
		}
		for _, c := range unique {
			c.Val.ok, c.Val.timeout = true, timeout
		}
		l.happened(unique)
		return nil
	}
}

func (l *lanes) inserted(ctx context.Context, text string, args []any) (timeout int64, err error) {
	if l.set.Table.Dialect == dialect.MySQL {
		one := newLone()
		defer one.release()
		one.args = append(one.args, args...)
		timeout, _, err = one.answer(ctx, l.store.db, l.set, text)
		return timeout, err
	}
	err = l.store.db.Query(ctx, text, args, func(row wire.Row) (err error) {
		timeout, err = row.Int(0)
		return err
	})
	return timeout, err
}

func (l *lanes) runSave(many *stmt.Many, columns int) func(context.Context, *batch.Lane[writing], []*batch.Call[writing]) error {
	return func(ctx context.Context, _ *batch.Lane[writing], calls []*batch.Call[writing]) error {
		unique, further := sorted(calls)
		err := driver.ErrSkip
		if columns == 0 {
			err = l.saveEach(ctx, unique)
		}
		switch {
		case err != driver.ErrSkip:
		case l.set.Table.Dialect == dialect.MySQL:
			err = l.saveLocked(ctx, many, columns, unique)
		default:
			args := l.set.SaveArgs(many, rowsOf(unique), columns, l.store.cfg.Application, 0)
			err = l.store.db.Query(ctx, many.Text(len(unique)), args, func(row wire.Row) (err error) {
				if c, ok := seen(unique, row); ok {
					c.Val.ok = true
					c.Val.timeout, err = row.Int(1)
				}
				return err
			})
		}
		if err != nil {
			return err
		}
		// Of several saves of one session, one can be first. If that was done, the others come too late, as if they had been sent after it; and if it
		// was refused, so are those with the same guard.
		for _, c := range further {
			switch first := ofKey(unique, c.Val.row.Key); {
			case first.IsAlone():
				c.Alone()
			case !first.Val.ok && first.Val.row.Guard != c.Val.row.Guard:
				c.Again()
			}
		}
		return nil
	}
}

// saveEach runs Save once for each session, in one trip, and in one transaction unless a pooler makes several of it: for a few of them that costs the server
// less than one statement over arrays. The error is driver.ErrSkip if there are too many, or it can't be done.
func (l *lanes) saveEach(ctx context.Context, unique []*batch.Call[writing]) error {
	if !l.pipelines() || len(unique) > l.store.pipelined {
		return driver.ErrSkip
	}
	changed := make([]int64, len(unique))
	err := l.store.db.(*wire.Pool).Each(ctx, len(unique), func(i int, args []any) (text string, _ []any) {
		row := &unique[i].Val.row
		text, args, _ = saving.lone(l.set, nil, args, row, &l.store.cfg.Application)
		switch {
		case i > 0:
		case row.Timeout > 0:
			text = l.set.SaveUnrenewedFirst
		default:
			text = l.set.SaveFirst
		}
		return text, args
	}, func(i int, row wire.Row) (err error) {
		unique[i].Val.timeout, err = row.Int(0)
		return err
	}, changed)
	if err != nil {
		return err
	}
	for i, c := range unique {
		if c.Val.ok = changed[i] > 0; c.Val.ok && c.Val.row.Timeout > 0 {
			c.Val.timeout = c.Val.row.Timeout
		}
	}
	return nil
}

func (l *lanes) runTouch(ctx context.Context, _ *batch.Lane[writing], calls []*batch.Call[writing]) error {
	unique, further := sorted(calls)
	if l.set.Table.Dialect == dialect.MySQL {
		if err := l.locked(ctx, l.text.Touch, nil, unique); err != nil {
			return err
		}
	} else {
		args := l.set.KeyArgs(make([]any, 0, 2), keysOf(unique), l.store.cfg.Application)
		err := l.store.db.Query(ctx, l.text.Touch.Text(len(unique)), args, func(row wire.Row) error {
			if c, ok := seen(unique, row); ok {
				c.Val.ok = true
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	follow(unique, further)
	return nil
}

func (l *lanes) runRemove(ctx context.Context, _ *batch.Lane[writing], calls []*batch.Call[writing]) error {
	unique, further := sorted(calls)
	args := make([]any, 0, 3)
	if l.set.Table.HasVersion {
		args = append(args, newVersion())
	}
	telling := l.store.event(EventDelete, "") != nil
	switch {
	case l.set.Table.Dialect == dialect.MySQL:
		if err := l.locked(ctx, l.text.Delete, args, unique); err != nil {
			return err
		}
		if telling {
			l.ended(ctx, unique)
		}
	case telling:
		err := l.store.db.Query(ctx, l.text.DeleteTelling.Text(len(unique)), l.set.KeyArgs(args, keysOf(unique), l.store.cfg.Application), func(row wire.Row) error {
			c, ok := seen(unique, row)
			if !ok {
				return nil
			}
			c.Val.ok = true
			return c.Val.event.fill(l.set, row, 1)
		})
		if err != nil {
			return err
		}
	default:
		_, err := exec(ctx, l.store.db, l.text.Delete.Text(len(unique)), l.set.KeyArgs(args, keysOf(unique), l.store.cfg.Application))
		if err != nil {
			return err
		}
	}
	l.happened(unique)
	follow(unique, further)
	return nil
}

// ended is Store.ended for a batch.
func (l *lanes) ended(ctx context.Context, unique []*batch.Call[writing]) {
	byKey := map[string]*Event{}
	for _, c := range unique {
		if c.Val.ok && !c.IsAlone() {
			byKey[c.Val.row.Key] = c.Val.event
		}
	}
	l.store.ended(ctx, l.set, byKey)
}

// follow gives further calls for a key the answer of the first.
func follow(unique, further []*batch.Call[writing]) {
	for _, c := range further {
		first := ofKey(unique, c.Val.row.Key)
		c.Val.ok = first.Val.ok
		if first.IsAlone() {
			c.Alone()
		}
	}
}

// atomically runs f in a transaction.
func (s *Store) atomically(ctx context.Context, f func(context.Context, wire.Querier) error) error {
	pool, ok := s.db.(*wire.Pool)
	if !ok {
		ctx, cancel := s.bounded(ctx)
		defer cancel()
		return s.inTx(ctx, func(q wire.Querier) error { return f(ctx, q) })
	}
	return s.write(ctx, func() error {
		committing, err := pool.Tx(ctx, f)
		if err != nil && !committing {
			return &undone{err}
		}
		return err
	})
}

package entsession

import (
	"context"
	"slices"
	"strings"
	"time"

	"entgo.io/ent/dialect"

	"github.com/entsession/entsession/internal/batch"
	"github.com/entsession/entsession/internal/stmt"
	"github.com/entsession/entsession/internal/wire"
)

// writing is a call that changes one session.
type writing struct {
	row stmt.Row // PostgreSQL, MySQL

	text string // SQLite: the statement
	args []any
	rows bool // it answers with a row

	ok      bool  // it changed the session
	timeout int64 // of a Create or Save
}

// After an attempt that lost its connection a write goes alone: should it be what breaks the connection, it breaks no one else's again.

// insert adds a row and returns its timeout.
func (s *Store) insert(ctx context.Context, set *stmt.Set, names []string, row stmt.Row, a attempt) (int64, error) {
	l := s.lanesFor(set)
	var lane *batch.Lane[writing]
	if l != nil && !a.unsure {
		lane = l.forColumns(l.create, names, set.InsertMany, l.runInsert)
	}
	timeout, _, err := s.change(ctx, set, l, lane, inserting, names, row)
	return timeout, err
}

// put saves a row over the version that its Guard names. It returns the new timeout, or false if there is no such live session.
func (s *Store) put(ctx context.Context, set *stmt.Set, names []string, row stmt.Row, a attempt) (int64, bool, error) {
	l := s.lanesFor(set)
	var lane *batch.Lane[writing]
	if l != nil && !a.unsure && !s.hot.has(row.Key) {
		lane = l.forColumns(l.save, names, set.SaveMany, l.runSave)
	}
	return s.change(ctx, set, l, lane, saving, names, row)
}

// renew touches a session. False: there is none that is live, or the driver can't tell.
func (s *Store) renew(ctx context.Context, set *stmt.Set, key string) (bool, error) {
	l := s.lanesFor(set)
	var lane *batch.Lane[writing]
	if l != nil && !s.hot.has(key) {
		lane = l.touch
	}
	_, ok, err := s.change(ctx, set, l, lane, touching, nil, stmt.Row{Key: key})
	return ok, err
}

// remove makes a tombstone of a live session.
func (s *Store) remove(ctx context.Context, set *stmt.Set, key string) error {
	l := s.lanesFor(set)
	var lane *batch.Lane[writing]
	if l != nil && !s.hot.has(key) {
		lane = l.remove
	}
	_, _, err := s.change(ctx, set, l, lane, deleting, nil, stmt.Row{Key: key, Version: newVersion()})
	return err
}

// kind of a change.
type kind int8

const (
	inserting kind = iota
	saving
	touching
	deleting
)

// lone is the statement for one row, and whether it answers with the row's timeout.
func (k kind) lone(set *stmt.Set, names []string, row stmt.Row, application string) (text string, args []any, answers bool) {
	switch k {
	case inserting:
		return set.Insert(names), set.LoneInsertArgs(row, application), true
	case saving:
		return set.Save(names), set.LoneSaveArgs(row, application), true
	case touching:
		return set.Touch, set.Key(make([]any, 0, 3), row.Key, application), false
	}
	args = make([]any, 0, 4)
	if set.Table.HasVersion {
		args = append(args, row.Version)
	}
	return set.Delete, set.Key(args, row.Key, application), false
}

// change takes a change of one row to the database: in a batch, or as a statement of its own.
func (s *Store) change(ctx context.Context, set *stmt.Set, l *lanes, lane *batch.Lane[writing], k kind, names []string, row stmt.Row) (timeout int64, ok bool, err error) {
	lone := func() error {
		text, args, answers := k.lone(set, names, row, s.cfg.Application)
		return s.write(ctx, func() (err error) {
			if answers {
				timeout, ok, err = answer(ctx, s.db, set, text, args)
				return err
			}
			n, err := exec(ctx, s.db, text, args)
			ok = n > 0
			return err
		})
	}
	w := writing{row: row}
	if l != nil && l.write != nil { // SQLite
		lane = l.write
	}
	if lane == nil || !l.elements(names, &w.row) {
		err = lone()
		return timeout, ok, err
	}
	if lane == l.write {
		w.text, w.args, w.rows = k.lone(set, names, w.row, s.cfg.Application)
	}
	w, batched, err := ride(ctx, lane, w, size(row), lone)
	if batched {
		return w.timeout, w.ok, err
	}
	return timeout, ok, err
}

// size is about what a row adds to a statement, in bytes.
func size(row stmt.Row) int {
	n := len(row.Text) + 128
	for _, v := range row.Values {
		switch v := v.(type) {
		case string:
			n += len(v)
		case []byte:
			n += 2 * len(v)
		default:
			n += 32
		}
	}
	return n
}

// elements turns a row's values into what its batch takes. A batch may go on after its caller has left, so nothing in it is still the
// caller's. False: a value has no such form.
func (l *lanes) elements(names []string, row *stmt.Row) bool {
	if len(names) == 0 {
		return true
	}
	values := make([]any, len(names))
	for i, v := range row.Values {
		if l.set.Table.Dialect == dialect.Postgres {
			e, ok := stmt.Element(v, l.set.Table.Arrays[names[i]])
			if !ok {
				return false
			}
			values[i] = e
			continue
		}
		switch v := v.(type) {
		case nil, bool, int, int8, int16, int32, int64, uint8, uint16, uint32, string, time.Time:
			values[i] = v
		case float32, float64: // MySQL's driver writes them in a way that makes a CASE of integers inexact
			if l.set.Table.Dialect == dialect.MySQL {
				return false
			}
			values[i] = v
		case []byte:
			values[i] = slices.Clone(v)
		default: // a driver.Valuer, say
			return false
		}
	}
	row.Values = values
	return true
}

// runStatements runs SQLite's changes one after the other in one transaction. SQLite undoes a statement that fails, and only that.
func (l *lanes) runStatements(ctx context.Context, _ *batch.Lane[writing], calls []*batch.Call[writing]) error {
	return l.store.atomically(ctx, func(ctx context.Context, q wire.Querier) error {
		for _, c := range calls {
			w := &c.Val
			err := w.run(ctx, q)
			switch {
			case err == nil:
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
}

func (w *writing) run(ctx context.Context, q wire.Querier) error {
	w.ok, w.timeout = false, 0
	if w.rows {
		return q.Query(ctx, w.text, w.args, func(row wire.Row) (err error) {
			w.ok = true
			w.timeout, err = row.Int(0)
			return err
		})
	}
	n, err := exec(ctx, q, w.text, w.args)
	w.ok = n > 0
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
		return nil
	}
}

func (l *lanes) inserted(ctx context.Context, text string, args []any) (timeout int64, err error) {
	if l.set.Table.Dialect == dialect.MySQL {
		timeout, _, err = answer(ctx, l.store.db, l.set, text, args)
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
		var err error
		if l.set.Table.Dialect == dialect.MySQL {
			err = l.saveLocked(ctx, many, columns, unique)
		} else {
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
	if l.set.Table.Dialect == dialect.MySQL {
		if err := l.locked(ctx, l.text.Delete, args, unique); err != nil {
			return err
		}
	} else {
		_, err := exec(ctx, l.store.db, l.text.Delete.Text(len(unique)), l.set.KeyArgs(args, keysOf(unique), l.store.cfg.Application))
		if err != nil {
			return err
		}
	}
	follow(unique, further)
	return nil
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

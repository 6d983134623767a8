package entsession

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/entsession/entsession/internal/batch"
	"github.com/entsession/entsession/internal/stmt"
	"github.com/entsession/entsession/internal/wire"
)

// MySQL's UPDATE doesn't tell which rows it has changed. A batch locks its rows first, in one short transaction, and then knows. Rows that
// someone else has locked are left out and written by their callers alone: no batch ever waits for a lock, or for another batch.

// saveLocked is runSave's.
func (l *lanes) saveLocked(ctx context.Context, many *stmt.Many, columns int, unique []*batch.Call[writing]) error {
	unique = alike(unique, columns)
	var rows []stmt.Row
	var writers []*batch.Call[writing]
	var at int64
	err := l.store.atomically(ctx, func(ctx context.Context, q wire.Querier) error {
		err := l.lock(ctx, q, unique, func(c *batch.Call[writing], timeout, now, version int64) {
			if at = now; version == c.Val.row.Guard {
				c.Val.timeout = timeout
				rows, writers = append(rows, c.Val.row), append(writers, c)
			}
		})
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			return errNothing
		}
		if columns == 0 { // what binds values of the application's columns is to be the same, alone and in a batch
			q, rows = even(q, rows, stmt.Row{Key: rows[len(rows)-1].Key})
		}
		n, err := exec(ctx, q, many.Text(len(rows)), l.set.SaveArgs(many, rows, columns, l.store.cfg.Application, at))
		if err != nil {
			return err
		}
		if n != int64(len(writers)) {
			return fmt.Errorf("%d of %d locked rows were written", n, len(writers))
		}
		return nil
	})
	switch {
	case errors.Is(err, errNothing):
		return nil
	case err != nil && len(writers) > 0 && everyones(err):
		// Those who came too late know that, whatever became of the others.
		for _, c := range writers {
			c.Err = err
		}
		return nil
	case err != nil:
		return err
	}
	for _, c := range writers {
		c.Val.ok = true
	}
	return nil
}

// alike has calls go alone that would have a CASE give another kind of value than the others': MySQL makes all of them one type. The others are
// returned; the caller keeps its own list of all.
func alike(all []*batch.Call[writing], columns int) []*batch.Call[writing] {
	if columns == 0 {
		return all
	}
	unique := slices.Clone(all)
	for i := range columns {
		var kind byte
		unique = slices.DeleteFunc(unique, func(c *batch.Call[writing]) bool {
			k := byte(0)
			switch c.Val.row.Values[i].(type) {
			case nil:
				return false
			case string, time.Time:
				k = 't'
			case []byte:
				k = 'b'
			default:
				k = 'i'
			}
			if kind == 0 {
				kind = k
			}
			if k != kind {
				c.Alone()
			}
			return k != kind
		})
	}
	return unique
}

// errNothing rolls a transaction back that has changed nothing.
var errNothing = errors.New("nothing to write")

// locked runs a statement over the rows of a batch that no one else has locked.
func (l *lanes) locked(ctx context.Context, many *stmt.Many, args []any, unique []*batch.Call[writing]) error {
	err := l.store.atomically(ctx, func(ctx context.Context, q wire.Querier) error {
		var keys []string
		err := l.lock(ctx, q, unique, func(c *batch.Call[writing], _, _, _ int64) { keys, c.Val.ok = append(keys, c.Val.row.Key), true })
		if err != nil || len(keys) == 0 {
			return err
		}
		n, err := exec(ctx, q, many.Text(len(keys)), l.set.KeyArgs(args, keys, l.store.cfg.Application))
		if err == nil && n != int64(len(keys)) { // a second has ended since they were locked, and sessions with it; which, their callers find out
			for _, c := range unique {
				c.Alone()
			}
			return errNothing
		}
		return err
	})
	if errors.Is(err, errNothing) {
		return nil
	}
	return err
}

// lock locks rows and has the calls whose rows it did not get go alone: a row that is not live can't be told from one that is locked.
func (l *lanes) lock(ctx context.Context, q wire.Querier, unique []*batch.Call[writing], f func(c *batch.Call[writing], timeout, now, version int64)) error {
	for _, c := range unique {
		c.Alone()
	}
	keys := keysOf(unique)
	q, keys = even(q, keys, keys[len(keys)-1])
	return q.Query(ctx, l.text.Lock.Text(len(keys)), l.set.KeyArgs(nil, keys, l.store.cfg.Application), func(row wire.Row) error {
		c, ok := seen(unique, row)
		if !ok {
			return nil
		}
		timeout, err := row.Int(1)
		if err != nil {
			return err
		}
		now, err := row.Int(2)
		if err != nil {
			return err
		}
		var version int64
		if l.set.Table.HasVersion {
			if version, err = row.Int(3); err != nil {
				return err
			}
		}
		c.Answered()
		f(c, timeout, now, version)
		return nil
	})
}

// even prepares for a statement over a batch that its connection keeps prepared. There is one for each power of two, or there would be hundreds: a smaller batch
// is filled up with what names its last member again, which changes nothing (an id in a list twice is one row, and of a CASE the first WHEN counts).
func even[T any](q wire.Querier, members []T, again T) (wire.Querier, []T) {
	q, keeps := wire.Kept(q)
	if !keeps {
		return q, members
	}
	size := 4
	for size < len(members) {
		size *= 2
	}
	for len(members) < size {
		members = append(members, again)
	}
	return q, members
}

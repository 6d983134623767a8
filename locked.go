package entsession

import (
	"context"
	"fmt"

	"github.com/entsession/entsession/internal/batch"
	"github.com/entsession/entsession/internal/stmt"
	"github.com/entsession/entsession/internal/wire"
)

// MySQL's UPDATE doesn't tell which rows it has changed. A batch locks its rows first, in one short transaction, and then knows. Rows that
// someone else has locked are left out and written by their callers alone: no batch ever waits for a lock, or for another batch.

// saveLocked is runSave's.
func (l *lanes) saveLocked(ctx context.Context, many *stmt.Many, columns int, unique []*batch.Call[writing]) error {
	return l.store.atomically(ctx, func(ctx context.Context, q wire.Querier) error {
		var rows []stmt.Row
		var writers []*writing
		err := l.lock(ctx, q, unique, func(w *writing, timeout, version int64) {
			if version == w.row.Guard {
				w.row.Timeout, w.timeout = timeout, timeout
				rows, writers = append(rows, w.row), append(writers, w)
			}
		})
		if err != nil || len(rows) == 0 {
			return err
		}
		n, err := exec(ctx, q, many.Text(len(rows)), l.set.SaveArgs(rows, columns, l.store.cfg.Application))
		if err != nil {
			return err
		}
		if n != int64(len(rows)) {
			return fmt.Errorf("%d of %d locked rows were written", n, len(rows))
		}
		for _, w := range writers {
			w.ok = true
		}
		return nil
	})
}

// locked runs a statement over the rows of a batch that no one else has locked.
func (l *lanes) locked(ctx context.Context, many *stmt.Many, args []any, unique []*batch.Call[writing]) error {
	return l.store.atomically(ctx, func(ctx context.Context, q wire.Querier) error {
		var keys []string
		err := l.lock(ctx, q, unique, func(w *writing, _, _ int64) { keys, w.ok = append(keys, w.row.Key), true })
		if err != nil || len(keys) == 0 {
			return err
		}
		_, err = exec(ctx, q, many.Text(len(keys)), l.set.KeyArgs(args, keys, l.store.cfg.Application))
		return err
	})
}

// lock locks rows and has the calls whose rows it did not get go alone: a row that is not live can't be told from one that is locked.
func (l *lanes) lock(ctx context.Context, q wire.Querier, unique []*batch.Call[writing], f func(w *writing, timeout, version int64)) error {
	for _, c := range unique {
		c.Alone()
	}
	return q.Query(ctx, l.text.Lock.Text(len(unique)), l.set.KeyArgs(nil, keysOf(unique), l.store.cfg.Application), func(row wire.Row) error {
		c, ok := seen(unique, row)
		if !ok {
			return nil
		}
		timeout, err := row.Int(1)
		if err != nil {
			return err
		}
		var version int64
		if l.set.Table.HasVersion {
			if version, err = row.Int(2); err != nil {
				return err
			}
		}
		c.Answered()
		f(&c.Val, timeout, version)
		return nil
	})
}

package entsession

import (
	"context"
	"slices"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"

	"github.com/entsession/entsession/internal/stmt"
	"github.com/entsession/entsession/internal/wire"
)

// What Revoke and the purge do instead when hooks are to hear of their rows.

// told collects events of a statement over many rows: as many as the queue has room for at all, and the number of the others.
type told struct {
	events []*Event
	more   uint64
}

// row takes over a row: id, and the extra columns from column n on.
func (t *told) row(s *Store, set *stmt.Set, kind EventKind, row wire.Row, n int) (*Event, error) {
	if len(t.events) >= s.cfg.Hooks.Queue {
		t.more++
		return nil, nil
	}
	e := s.event(kind, row.Key(0))
	t.events = append(t.events, e)
	return e, e.fill(set, row, n)
}

func (t *told) any() bool { return len(t.events) > 0 || t.more > 0 }

// happened is called after the commit.
func (t *told) happened(s *Store) {
	for _, e := range t.events {
		s.happened(e)
	}
	s.events.dropped.Add(t.more)
}

// revokeTelling is revoke's.
func (s *Store) revokeTelling(ctx context.Context, set *stmt.Set, where []func(*entsql.Selector)) (n int64, err error) {
	var t told
	if set.Table.Dialect == dialect.MySQL {
		n, err = s.revokeLocked(ctx, set, where, &t)
	} else {
		text, args, rerr := set.Revoke(s.cfg.Application, newVersion(), where)
		if rerr != nil {
			return 0, rerr
		}
		err = s.write(ctx, func() error {
			return s.db.Query(ctx, set.Telling(text), args, func(row wire.Row) error {
				n++
				_, err := t.row(s, set, EventRevoke, row, 1)
				return err
			})
		})
	}
	if err == nil {
		t.happened(s)
	}
	return n, err
}

// revokeLocked is for MySQL, whose UPDATE does not tell what it has changed: it locks the rows first.
func (s *Store) revokeLocked(ctx context.Context, set *stmt.Set, where []func(*entsql.Selector), t *told) (n int64, err error) {
	text, args, err := set.Revocable(s.cfg.Application, where)
	if err != nil {
		return 0, err
	}
	err = s.inTx(ctx, func(tx wire.Querier) error {
		var keys []string
		err := tx.Query(ctx, text, args, func(row wire.Row) error {
			keys = append(keys, row.Key(0))
			_, err := t.row(s, set, EventRevoke, row, 1)
			return err
		})
		if err != nil {
			return err
		}
		n = int64(len(keys))
		for some := range slices.Chunk(keys, s.cfg.PurgeBatch) {
			text, args := set.Bury(newVersion(), some)
			if _, err := exec(ctx, tx, text, args); err != nil {
				return err
			}
		}
		return nil
	})
	return n, err
}

// expiring finds what the purge is to delete, as expiredKeys does, with what is to be told of it.
func (s *Store) expiring(ctx context.Context, tx wire.Querier, set *stmt.Set) (keys []string, byKey map[string]*Event, err error) {
	byKey = map[string]*Event{}
	text, args := set.Expiring(s.cfg.Application, s.cfg.PurgeBatch)
	err = tx.Query(ctx, text, args, func(row wire.Row) error {
		keys = append(keys, row.Key(0))
		timeout, err := row.Int(1)
		if err != nil || timeout <= 0 { // a tombstone: it was told of when it became one
			return err
		}
		e := s.event(EventExpire, row.Key(0))
		e.Time = time.Unix(timeout+1, 0)
		byKey[row.Key(0)] = e
		return e.fill(set, row, 2)
	})
	return keys, byKey, err
}

// purgeTelling is purgeSome's: it returns what there is to tell, too.
func (s *Store) purgeTelling(ctx context.Context, tx wire.Querier, set *stmt.Set) (n int, more bool, t told, err error) {
	keys, byKey, err := s.expiring(ctx, tx, set)
	if err != nil || len(keys) == 0 {
		return 0, false, t, err
	}
	text, args := set.Purge(keys)
	more = len(keys) == s.cfg.PurgeBatch
	if set.Table.Dialect != dialect.MySQL {
		err = tx.Query(ctx, set.Telling(text), args, func(row wire.Row) error {
			n++
			if e := byKey[row.Key(0)]; e != nil {
				t.events = append(t.events, e)
			}
			return nil
		})
		return n, more, t, err
	}
	deleted, err := exec(ctx, tx, text, args)
	if err != nil {
		return 0, false, t, err
	}
	if deleted != int64(len(keys)) { // someone else deleted some, and MySQL doesn't tell which
		t.more = uint64(len(byKey))
		return int(deleted), more, t, nil
	}
	for _, key := range keys {
		if e := byKey[key]; e != nil {
			t.events = append(t.events, e)
		}
	}
	return int(deleted), more, t, nil
}

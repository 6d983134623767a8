package entsession

import (
	"context"
	"errors"
	"slices"

	entsql "entgo.io/ent/dialect/sql"

	"github.com/entsession/entsession/internal/fault"
	"github.com/entsession/entsession/internal/payload"
	"github.com/entsession/entsession/internal/stmt"
	"github.com/entsession/entsession/internal/wire"
)

// Rotate gives a live session a new id, with the same payload, columns, creation time and a renewed expiry, and ends the old
// id for good. Do it after every login, and whenever rights change: it is what defeats session fixation (OWASP Session
// Management Cheat Sheet). A session that is not live is ErrNotFound.
//
// The columns given are written in the same transaction, so that a session never has the new subject under the old id, nor the
// old subject under the new one. Every other column that the table has at that moment is copied, the application's too. A unique column of the
// application's would meet its own copy: leave such a column out of the table, or make it unique together with the id.
func (s *Store) Rotate(ctx context.Context, id string, cols ...Column) (_ *Session, err error) {
	ctx, c := s.observe(ctx, "rotate", &err)
	defer c.done(&err)
	r, ok := s.lookup(id)
	if err := s.begin(ctx); err != nil {
		return nil, s.fail("rotate", err, r)
	}
	if !ok {
		return nil, ErrNotFound
	}
	fresh := newID()
	to := &ref{id: fresh, key: s.key(fresh)}
	cols = s.fromContext(ctx, cols)
	sess, err := s.rotate(ctx, r, to, cols, payload.Encode)
	if err != nil && fault.Of(err) == fault.Charset {
		sess, err = s.rotate(ctx, r, to, cols, payload.Opaque)
	}
	if err != nil {
		return nil, s.fail("rotate", redact(err, to), r)
	}
	return sess, nil
}

func (s *Store) rotate(ctx context.Context, r, to *ref, cols []Column, encode func([]byte) string) (*Session, error) {
	version := newVersion()
	s.hot.add(r.key)
	defer s.hot.remove(r.key)
	var sess, old *Session
	err := s.try(ctx, func(ctx context.Context, set *stmt.Set, a attempt) (err error) {
		err = s.inTx(ctx, func(tx wire.Querier) error {
			if sess, old, err = s.move(ctx, tx, set, r, to, version); err != nil || len(cols) == 0 {
				return err
			}
			sess.Set(cols...)
			return s.saveOn(ctx, tx, set, sess, encode(sess.Data), newVersion(), sess.staged, attempt{})
		})
		if a.unsure && errors.Is(err, ErrNotFound) {
			// The old id is dead. The new one is random: if its row is there, an attempt that lost its answer made it. Not before the
			// old row was locked: that attempt's commit may have been under way until then.
			sess, err = s.read(ctx, s.db, set, set.Load, to)
		}
		if err == nil {
			if e := s.event(EventRotate, r.key); e != nil {
				e.Successor, e.Columns = s.shown(to.key), old.Columns()
				s.happened(e)
			}
		}
		return err
	})
	return sess, err
}

// move returns the session as it is now, and as it was.
func (s *Store) move(ctx context.Context, tx wire.Querier, set *stmt.Set, from, to *ref, version int64) (sess, old *Session, err error) {
	if old, err = s.lock(ctx, tx, set, from); err != nil {
		return nil, nil, err
	}
	// The columns as they are now: one that a migration added since the store looked must come along.
	names, err := columnNames(ctx, tx, set.Table)
	if err != nil {
		return nil, nil, err
	}
	if !slices.Equal(names, set.Table.Columns) {
		return nil, nil, errTableChanged
	}
	args := []any{to.key}
	if set.Table.HasVersion {
		args = append(args, version)
	}
	args = set.Key(args, &from.key, &s.cfg.Application)
	n, err := exec(ctx, tx, set.Copy(set.Table.CopyColumns()), args)
	if err != nil {
		return nil, nil, err
	}
	if n == 0 {
		return nil, nil, ErrNotFound // it expired in this very second
	}
	if buried, err := s.bury(ctx, tx, set, from.key); err != nil {
		return nil, nil, err
	} else if !buried {
		return nil, nil, ErrNotFound
	}
	sess, err = s.read(ctx, tx, set, set.Load, to)
	return sess, old, err
}

// columnNames reads a table's columns.
func columnNames(ctx context.Context, q wire.Querier, t *stmt.Table) ([]string, error) {
	var rows entsql.Rows
	if err := q.Ent().Query(ctx, t.DescribeQuery(), []any{}, &rows); err != nil {
		return nil, err
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	return names, rows.Err()
}

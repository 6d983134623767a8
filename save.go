package entsession

import (
	"context"
	"hash/maphash"

	"github.com/entsession/entsession/internal/stmt"
	"github.com/entsession/entsession/internal/wire"
)

// Save writes a session's Data, the columns staged on it and those given, and renews it, in one guarded write. It
// keeps every other column. If nothing was changed and no renewal is due, it only makes sure that the session is still what it was. If someone else changed the session since it was loaded, it is ErrConflict and nothing is
// written (see Update, which retries); if it is no longer live, ErrNotFound. On success the session is what the table
// holds, and may be changed and saved again.
//
// When the connection breaks, Save tries again and recognises its own write by the version. Only if someone else has built on
// the session in that moment can it not tell: the error then says that the outcome is unknown.
func (s *Store) Save(ctx context.Context, sess *Session, cols ...Column) (err error) {
	ctx, c := s.observe(ctx, "save", &err)
	defer c.done(&err)
	if sess == nil || sess.ref == nil {
		return ErrInvalidID
	}
	if err := s.begin(ctx); err != nil {
		return s.fail("save", err, sess.ref)
	}
	sess.mu.Lock()
	defer sess.mu.Unlock()
	return s.fail("save", s.save(ctx, sess, cols), sess.ref)
}

func (s *Store) save(ctx context.Context, sess *Session, cols []Column) error {
	staged := append([]Column(nil), sess.staged...)
	for _, c := range cols {
		staged = stage(staged, c)
	}
	staged = s.fromContextFor(ctx, sess, staged)
	version := newVersion()
	return s.encoded(sess.Data, func(text string) error {
		return s.retry(ctx, func(ctx context.Context, set *stmt.Set, a attempt) error {
			if len(staged) == 0 && set.Table.HasVersion && !sess.null && sess.sum == maphash.String(seed, text) && !a.unsure {
				if done, err := s.unchanged(ctx, set, sess); done || err != nil {
					return err
				}
			}
			return s.saveOn(ctx, nil, set, sess, text, version, staged, a)
		})
	})
}

// unchanged saves a session of which nothing was changed: as long as its renewal is not due, there is nothing to write.
func (s *Store) unchanged(ctx context.Context, set *stmt.Set, sess *Session) (done bool, err error) {
	st, err := s.check(ctx, set, sess.ref)
	switch {
	case err != nil:
		return false, err
	case st.version != sess.version:
		return false, ErrConflict
	case st.due:
		return false, nil
	}
	sess.timeout = st.timeout
	return true, nil
}

// saveOn runs a Save: in the transaction given, or by itself.
func (s *Store) saveOn(ctx context.Context, tx wire.Querier, set *stmt.Set, sess *Session, text string, version int64, staged []Column, a attempt) error {
	q := tx
	if q == nil {
		q = s.db
	}
	names, values, err := s.columns(ctx, q, &set, staged)
	if err != nil {
		return err
	}
	row := stmt.Row{Key: sess.ref.key, Text: text, Version: version, Guard: sess.version, Values: values}
	if !sess.null {
		row.Stored = sess.stored
	}
	if tx == nil {
		row.Timeout = set.Staying(sess.timeout, sess.created)
	}
	for {
		timeout, ok, err := s.saveRow(ctx, tx, set, names, row, a)
		if err != nil {
			return err
		}
		if !ok {
			now, err := s.checkOn(ctx, tx, set, sess.ref)
			switch {
			case err != nil:
				return &undone{err} // ErrNotFound among them; this attempt wrote nothing
			case set.Table.HasVersion && now.version == version:
				// The version is random: an attempt wrote it that lost its answer, or a batch that failed where a trip is not one transaction (some poolers
				// and relatives of PostgreSQL end one with each statement).
				timeout = now.timeout
			case row.Timeout > 0 && now.version == row.Guard:
				row.Timeout = 0 // its renewal is due after all, or someone else renewed it
				continue
			case a.unsure:
				return a.unknown("the session was changed again since")
			default:
				return ErrConflict
			}
		}
		sess.staged = staged
		sess.written(set, text, version, timeout)
		return nil
	}
}

func (s *Store) saveRow(ctx context.Context, tx wire.Querier, set *stmt.Set, names []string, row stmt.Row, a attempt) (timeout int64, ok bool, err error) {
	if tx == nil {
		return s.put(ctx, set, names, row, a)
	}
	l := newLone()
	defer l.release()
	l.args = set.LoneSaveArgs(l.args, &row, &s.cfg.Application)
	return l.answer(ctx, tx, set, set.Save(names))
}

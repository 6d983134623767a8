package entsession

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"entgo.io/ent/dialect"

	"github.com/entsession/entsession/internal/fault"
	"github.com/entsession/entsession/internal/payload"
	"github.com/entsession/entsession/internal/stmt"
	"github.com/entsession/entsession/internal/wire"
)

// Create makes a session under a new random id, with the payload and the extra columns given, and commits it. It is live for
// Config.ExpirationTimeout. A payload over Config.MaxDataBytes is ErrTooLarge; a column that the table lacks, or that is
// the store's own, is a *ColumnError.
func (s *Store) Create(ctx context.Context, data []byte, cols ...Column) (_ *Session, err error) {
	ctx, c := s.observe(ctx, "create", &err)
	defer c.done(&err)
	id := newID()
	r := &ref{id: id, key: s.key(id)}
	if err := s.begin(ctx); err != nil {
		return nil, s.fail("create", err, r)
	}
	sess := &Session{Data: slices.Clone(data), ref: r}
	sess.Set(s.fromContext(ctx, cols)...)
	err = s.encoded(sess.Data, func(text string) error { return s.create(ctx, sess, text) })
	if err != nil {
		return nil, s.fail("create", err, r)
	}
	return sess, nil
}

func (s *Store) create(ctx context.Context, sess *Session, text string) error {
	version := newVersion()
	return s.retry(ctx, func(ctx context.Context, set *stmt.Set, a attempt) error {
		names, values, err := s.columns(ctx, s.db, &set, sess.staged)
		if err != nil {
			return err
		}
		timeout, err := s.insert(ctx, set, names, stmt.Row{Key: sess.ref.key, Text: text, Version: version, Values: values}, s.creation(sess.ref.key, sess.staged), a)
		if err != nil {
			if !a.unsure || fault.Of(err) != fault.Duplicate {
				return err
			}
			// The id is random: if its row is there, an attempt that lost its answer made it.
			found, perr := s.check(ctx, set, sess.ref)
			switch {
			case errors.Is(perr, ErrNotFound):
				return err // a unique column of the application's
			case perr != nil:
				return &undone{perr}
			}
			timeout = found.timeout
			s.happened(s.creation(sess.ref.key, sess.staged))
		} else if set.Table.Dialect == dialect.MySQL && len(set.Table.Computed) > 0 {
			// The insert id may be that of an auto_increment column of the application's.
			found, err := s.checkOn(ctx, s.db, set, sess.ref) // not in a queue that may be full: the row is there
			if err != nil {
				return err
			}
			timeout = found.timeout
		}
		if set.Table.HasCreated {
			sess.created = timeout - set.Lifetime()
		}
		sess.written(set, text, version, timeout)
		return nil
	})
}

// Load returns a live session, or ErrNotFound. It does not renew it: Save, Update and Touch do.
func (s *Store) Load(ctx context.Context, id string) (_ *Session, err error) {
	ctx, c := s.observe(ctx, "load", &err)
	defer c.done(&err)
	r, ok := s.lookup(id)
	if err := s.begin(ctx); err != nil {
		return nil, s.fail("load", err, r)
	}
	if !ok {
		return nil, ErrNotFound
	}
	sess, err := s.load(ctx, r)
	if err != nil {
		return nil, s.fail("load", err, r)
	}
	return sess, nil
}

func (s *Store) load(ctx context.Context, r *ref) (*Session, error) {
	var sess *Session
	err := s.retry(ctx, func(ctx context.Context, set *stmt.Set, _ attempt) (err error) {
		sess, err = s.fetch(ctx, set, r)
		return err
	})
	return sess, err
}

// read runs Load or Lock.
func (s *Store) read(ctx context.Context, q wire.Querier, set *stmt.Set, text string, r *ref) (*Session, error) {
	l := newLone()
	defer l.release()
	l.args = set.Key(l.args, &r.key, &s.cfg.Application)
	l.set, l.sess = set, &Session{ref: r}
	if err := l.query(ctx, q, text); err != nil {
		return nil, err
	}
	return l.sess, nil
}

// Touch renews a live session without changing it: it is live for another Config.ExpirationTimeout, within
// Config.MaxLifetime. A renewal that would move the expiry by less than Config.TouchInterval costs no write. A session that is not live is
// ErrNotFound.
func (s *Store) Touch(ctx context.Context, id string) (err error) {
	ctx, c := s.observe(ctx, "touch", &err)
	defer c.done(&err)
	r, ok := s.lookup(id)
	if err := s.begin(ctx); err != nil {
		return s.fail("touch", err, r)
	}
	if !ok {
		return ErrNotFound
	}
	err = s.retry(ctx, func(ctx context.Context, set *stmt.Set, _ attempt) error {
		st, err := s.check(ctx, set, r)
		if err != nil || !st.due {
			return err
		}
		if ok, err := s.renew(ctx, set, r.key); err != nil || ok {
			return err
		}
		// Gone since, or renewed by someone else within this second (a MySQL driver may count changed rows only).
		_, err = s.check(ctx, set, r)
		return err
	})
	return s.fail("touch", err, r)
}

// Delete ends a session for good: once it has returned nil, no request under way makes the id loadable again. An id that is
// unknown, expired or malformed is no error. The row stays behind without its payload until the purge.
func (s *Store) Delete(ctx context.Context, id string) (err error) {
	ctx, c := s.observe(ctx, "delete", &err)
	defer c.done(&err)
	r, ok := s.lookup(id)
	if err := s.begin(ctx); err != nil {
		return s.fail("delete", err, r)
	}
	if !ok {
		return nil
	}
	err = s.retry(ctx, func(ctx context.Context, set *stmt.Set, _ attempt) error {
		return s.remove(ctx, set, r.key)
	})
	return s.fail("delete", err, r)
}

// bury makes a tombstone of a live session and tells whether there was one.
func (s *Store) bury(ctx context.Context, q wire.Querier, set *stmt.Set, key string) (bool, error) {
	args := make([]any, 0, 4)
	if set.Table.HasVersion {
		args = append(args, newVersion())
	}
	n, err := exec(ctx, q, set.Delete, set.Key(args, &key, &s.cfg.Application))
	return n > 0, err
}

// encoded runs f with the payload as text and, should the column's character set lack one of its characters, with its base64.
func (s *Store) encoded(data []byte, f func(text string) error) error {
	if err := s.fits(data); err != nil {
		return err
	}
	text := payload.Encode(data)
	err := f(text)
	if err != nil && fault.Of(err) == fault.Charset && !strings.HasPrefix(text, "b64:") {
		return f(payload.Opaque(data))
	}
	return err
}

func (s *Store) fits(data []byte) error {
	if len(data) > s.cfg.MaxDataBytes {
		return fmt.Errorf("%w: %d bytes, and MaxDataBytes is %d", ErrTooLarge, len(data), s.cfg.MaxDataBytes)
	}
	return nil
}

// columns checks the extra columns of a write against the table. One that the table seems to lack may have been added since it was
// described: it is looked at again, once.
func (s *Store) columns(ctx context.Context, q wire.Querier, set **stmt.Set, cols []Column) (names []string, values []any, err error) {
	if len(cols) == 0 {
		return nil, nil, nil
	}
	for _, c := range cols {
		if stmt.Own(c.name) {
			return nil, nil, &ColumnError{c.name, "is the store's own: only extra columns can be set"}
		}
		if !slices.Contains((*set).Table.Extra, c.name) && s.unknown.mayBeNew(c.name) {
			s.forget(*set)
			if *set, err = s.describe(ctx, q); err != nil { // not on another connection: q may hold the pool's last
				return nil, nil, &undone{err}
			}
			s.unknown.known(c.name, slices.Contains((*set).Table.Extra, c.name))
		}
		if !slices.Contains((*set).Table.Extra, c.name) {
			return nil, nil, &ColumnError{c.name, fmt.Sprintf("table %s has no such column; its extra columns: %s",
				(*set).Table, strings.Join((*set).Table.Extra, ", "))}
		}
		at, _ := slices.BinarySearch(names, c.name) // in one order, whatever that of the calls: it is one statement
		names = slices.Insert(names, at, c.name)
		values = slices.Insert(values, at, c.value)
	}
	return names, values, nil
}

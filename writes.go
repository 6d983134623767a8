package entsession

import (
	"context"
	"errors"
	"slices"
	"time"

	"entgo.io/ent/dialect"

	"github.com/entsession/entsession/internal/batch"
	"github.com/entsession/entsession/internal/stmt"
)

// writing is a call that changes one session.
type writing struct {
	row stmt.Row // PostgreSQL, MySQL

	text string // SQLite: the statement
	args []any
	rows bool // it answers with a row

	event *Event // to be told of once it is committed; nil: none

	ok      bool  // it changed the session
	timeout int64 // of a Create or Save
}

// After an attempt that lost its connection a write goes alone: should it be what breaks the connection, it breaks no one else's again.

// insert adds a row and returns its timeout.
func (s *Store) insert(ctx context.Context, set *stmt.Set, names []string, row stmt.Row, e *Event, a attempt) (int64, error) {
	l := s.lanesFor(set)
	var lane *batch.Lane[writing]
	if l != nil && !a.unsure {
		lane = l.forColumns("create", l.create, names, set.InsertMany, l.runInsert)
	}
	timeout, _, err := s.change(ctx, set, l, lane, inserting, names, row, e)
	return timeout, err
}

// put saves a row over the version that its Guard names. It returns the new timeout, or false if there is no such live session.
func (s *Store) put(ctx context.Context, set *stmt.Set, names []string, row stmt.Row, a attempt) (int64, bool, error) {
	l := s.lanesFor(set)
	var lane *batch.Lane[writing]
	if l != nil && !a.unsure && !s.hot.has(row.Key) {
		lane = l.forColumns("save", l.save, names, set.SaveMany, l.runSave)
	}
	return s.change(ctx, set, l, lane, saving, names, row, nil)
}

// renew touches a session. False: there is none that is live, or the driver can't tell.
func (s *Store) renew(ctx context.Context, set *stmt.Set, key string) (bool, error) {
	l := s.lanesFor(set)
	var lane *batch.Lane[writing]
	if l != nil && !s.hot.has(key) {
		lane = l.touch
	}
	_, ok, err := s.change(ctx, set, l, lane, touching, nil, stmt.Row{Key: key}, nil)
	return ok, err
}

// remove makes a tombstone of a live session.
func (s *Store) remove(ctx context.Context, set *stmt.Set, key string) error {
	l := s.lanesFor(set)
	var lane *batch.Lane[writing]
	if l != nil && !s.hot.has(key) {
		lane = l.remove
	}
	_, _, err := s.change(ctx, set, l, lane, deleting, nil, stmt.Row{Key: key, Version: newVersion()}, s.event(EventDelete, key))
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

// lone is the statement for one row, its arguments appended to args, and whether it answers with the row's timeout.
func (k kind) lone(set *stmt.Set, names []string, args []any, row *stmt.Row, application *string) (text string, _ []any, answers bool) {
	switch k {
	case inserting:
		return set.Insert(names), set.LoneInsertArgs(args, row, application), true
	case saving:
		if row.Timeout > 0 {
			return set.SaveUnrenewed(names), set.LoneSaveUnrenewedArgs(args, row, application), false
		}
		return set.Save(names), set.LoneSaveArgs(args, row, application), true
	case touching:
		return set.Touch, set.Key(args, &row.Key, application), false
	}
	if set.Table.HasVersion {
		args = append(args, &row.Version)
	}
	return set.Delete, set.Key(args, &row.Key, application), false
}

// change takes a change of one row to the database: in a batch, or as a statement of its own.
func (s *Store) change(ctx context.Context, set *stmt.Set, l *lanes, lane *batch.Lane[writing], k kind, names []string, row stmt.Row, e *Event) (timeout int64, ok bool, err error) {
	lone := func() error {
		one := newLone()
		defer one.release()
		one.row = row
		var text string
		var answers bool
		text, one.args, answers = k.lone(set, names, one.args, &one.row, &s.cfg.Application)
		err := s.write(ctx, func() (err error) {
			if e != nil && k == deleting {
				ok, err = s.removeTelling(ctx, set, one, text, e)
				return err
			}
			timeout, ok, err = one.change(ctx, s.db, set, text, answers)
			return err
		})
		if err == nil && (ok || k == inserting) {
			s.happened(e)
		}
		return err
	}
	w := writing{row: row, event: e}
	if l != nil && l.write != nil { // SQLite
		lane = l.write
	}
	if lane == nil || !l.elements(names, &w.row) {
		err = lone()
		return timeout, ok, err
	}
	if lane == l.write {
		own := w.row // the arguments point into it
		w.text, w.args, w.rows = k.lone(set, names, nil, &own, &s.cfg.Application)
	}
	w, batched, err := ride(ctx, lane, w, size(row), lone)
	if batched {
		s.batched(ctx)
		return w.timeout, w.ok, err
	}
	return timeout, ok, err
}

// removeTelling runs a Delete that is to be told of.
func (s *Store) removeTelling(ctx context.Context, set *stmt.Set, one *lone, text string, e *Event) (bool, error) {
	if set.Table.Dialect == dialect.MySQL {
		n, err := exec(ctx, s.db, text, one.args)
		if n > 0 {
			s.ended(ctx, set, map[string]*Event{one.row.Key: e})
		}
		return n > 0, err
	}
	one.set, one.event = set, e
	err := one.query(ctx, s.db, set.Telling(text))
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
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

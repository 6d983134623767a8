// Package typedstore is what generated typed stores are made of: package entext generates them, docs/typed-store.md says how, and this package
// does the work. An application names nothing of it but the errors.
//
// Begin with store.go; column.go makes values for the database, schema.go knows defaults and what is required, scan.go fills
// the application's entities, constraint.go names what a database refused.
package typedstore

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"

	"entgo.io/ent/dialect/sql"

	"github.com/entsession/entsession"
)

// Store is an *entsession.Store in the terms of an ent schema. S is a session of the schema, C a value for one of its columns and P its predicate,
// all of them generated. Every promise is that of the method of the same name of entsession.Store.
//
// A value that the schema's validators refuse, or a required column that is missing, is a *ValidationError and nothing is sent. A value that
// the database refuses is a *ConstraintError.
type Store[S any, C Setter, P ~func(*sql.Selector)] struct {
	store  *entsession.Store
	schema *Schema
	kind   Kind[S]
}

// Kind is what generated code knows of its S.
type Kind[S any] struct {
	// Fill takes over what a Handle's session holds.
	Fill func(*S, *Handle) error
	// Key is a Fill with a row's key only, for a row that Fill can't read.
	Key func(*S, *Handle)
	// Of gives what Fill was given, and the payload. The handle of a zero S is nil.
	Of func(*S) (*Handle, []byte)
}

// Handle is a session below its typed form.
type Handle struct {
	*entsession.Session
	mu     sync.Mutex // held by Save
	staged []Column
}

// Stage notes columns for the next Save.
func Stage[C Setter](h *Handle, columns []C) {
	for _, c := range columns {
		h.staged = with(h.staged, c.column())
	}
}

// with adds a column, or replaces it.
func with(all []Column, c Column) []Column {
	if c.field == nil {
		return all
	}
	if i := slices.IndexFunc(all, func(o Column) bool { return o.field.Column == c.field.Column }); i >= 0 {
		all[i] = c
		return all
	}
	return append(all, c)
}

func collect[C Setter](staged []Column, columns []C) []Column {
	all := slices.Clone(staged)
	for _, c := range columns {
		all = with(all, c.column())
	}
	return all
}

// New makes a typed store on a store, whose table must be the schema's.
func New[S any, C Setter, P ~func(*sql.Selector)](store *entsession.Store, schema *Schema, kind Kind[S]) (*Store[S, C, P], error) {
	if store == nil {
		return nil, fmt.Errorf("entsession: typed store of %s: the store is nil", schema.Name)
	}
	if !schema.fits(store.Table()) {
		return nil, fmt.Errorf("entsession: typed store of %s: the store's table is %s, and the schema's is %s: set Config.Table", schema.Name, store.Table(), schema.Table)
	}
	return &Store[S, C, P]{store, schema, kind}, nil
}

// Untyped is the store below, for what knows no types: adapters, Stats, Purge and Close.
func (t *Store[S, C, P]) Untyped() *entsession.Store { return t.store }

// Create is entsession.Store.Create. Columns that aren't given have the schema's defaults.
func (t *Store[S, C, P]) Create(ctx context.Context, data []byte, columns ...C) (*S, error) {
	set, err := t.schema.created(ctx, t.store, collect(nil, columns))
	if err != nil {
		return nil, err
	}
	sess, err := t.store.Create(ctx, data, set...)
	if err != nil {
		return nil, t.schema.refused(err)
	}
	return t.made(sess)
}

// Load is entsession.Store.Load. A column whose value its field can't take is an *entsession.ColumnError.
func (t *Store[S, C, P]) Load(ctx context.Context, id string) (*S, error) {
	sess, err := t.store.Load(ctx, id)
	if err != nil {
		return nil, err
	}
	return t.made(sess)
}

// Save is entsession.Store.Save: it writes the payload, the columns that were staged and those given. Fields that have a default for updates get it.
// On success the session's entity is a new one; on failure it is what it was.
func (t *Store[S, C, P]) Save(ctx context.Context, s *S, columns ...C) error {
	if s == nil {
		return entsession.ErrInvalidID
	}
	h, data := t.kind.Of(s)
	if h == nil {
		return entsession.ErrInvalidID
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	set, err := t.schema.updated(ctx, t.store, collect(h.staged, columns))
	if err != nil {
		return err
	}
	h.Data = data
	if err := t.store.Save(ctx, h.Session, set...); err != nil {
		return t.schema.refused(err)
	}
	h.staged = nil
	return t.kind.Fill(s, h)
}

// Update is entsession.Store.Update: change the payload and stage columns in the function.
func (t *Store[S, C, P]) Update(ctx context.Context, id string, f func(*S) error) (*S, error) {
	if f == nil {
		_, err := t.store.Update(ctx, id, nil)
		return nil, err
	}
	var own error // of the function, which is no constraint of the table whatever it is
	sess, err := t.store.Update(ctx, id, func(sess *entsession.Session) error {
		var s *S
		if s, own = t.made(sess); own != nil {
			return own
		}
		if own = f(s); own != nil {
			return own
		}
		h, data := t.kind.Of(s)
		set, err := t.schema.updated(ctx, t.store, h.staged)
		if err != nil {
			return err
		}
		sess.Data = data
		sess.Set(set...)
		return nil
	})
	switch {
	case own != nil:
		return nil, own
	case err != nil:
		return nil, t.schema.refused(err)
	}
	return t.made(sess)
}

// Touch is entsession.Store.Touch.
func (t *Store[S, C, P]) Touch(ctx context.Context, id string) error { return t.store.Touch(ctx, id) }

// Rotate is entsession.Store.Rotate. Fields that have a default for updates get it.
func (t *Store[S, C, P]) Rotate(ctx context.Context, id string, columns ...C) (*S, error) {
	set, err := t.schema.updated(ctx, t.store, collect(nil, columns))
	if err != nil {
		return nil, err
	}
	sess, err := t.store.Rotate(ctx, id, set...)
	if err != nil {
		return nil, t.schema.refused(err)
	}
	return t.made(sess)
}

// Delete is entsession.Store.Delete.
func (t *Store[S, C, P]) Delete(ctx context.Context, id string) error { return t.store.Delete(ctx, id) }

// List is entsession.Store.List. A session with a column whose value its field can't take comes with an error, without its fields but with its key, and doesn't
// end the loop; any other error does, with a nil session.
func (t *Store[S, C, P]) List(ctx context.Context, where ...P) iter.Seq2[*S, error] {
	return func(yield func(*S, error) bool) {
		for sess, err := range t.store.List(ctx, selectors(where)...) {
			if err != nil {
				yield(nil, err)
				return
			}
			s, err := t.made(sess)
			if err != nil {
				s = new(S)
				t.kind.Key(s, &Handle{Session: sess})
			}
			if !yield(s, err) {
				return
			}
		}
	}
}

// Count is entsession.Store.Count.
func (t *Store[S, C, P]) Count(ctx context.Context, where ...P) (int, error) {
	return t.store.Count(ctx, selectors(where)...)
}

// Revoke is entsession.Store.Revoke.
func (t *Store[S, C, P]) Revoke(ctx context.Context, where ...P) (int, error) {
	return t.store.Revoke(ctx, selectors(where)...)
}

func (t *Store[S, C, P]) made(sess *entsession.Session) (*S, error) {
	s := new(S)
	if err := t.kind.Fill(s, &Handle{Session: sess}); err != nil {
		return nil, err
	}
	return s, nil
}

func selectors[P ~func(*sql.Selector)](where []P) []func(*sql.Selector) {
	out := make([]func(*sql.Selector), len(where))
	for i, p := range where {
		out[i] = p
	}
	return out
}

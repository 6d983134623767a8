package entsession

import (
	"context"
	"iter"

	"entgo.io/ent/dialect/sql"
)

// Typed is a store whose payload is a T, kept as JSON unless Payload says otherwise.
//
//	type Cart struct{ Items []string }
//	carts := entsession.Typed[Cart]{Store: store}
//	s, err := carts.Create(ctx, Cart{})
//	_, err = carts.Update(ctx, s.ID(), func(s *entsession.TypedSession[Cart]) error {
//		s.Value.Items = append(s.Value.Items, "tea")
//		return nil
//	})
type Typed[T any] struct {
	*Store
	Payload Payload[T]
}

// TypedSession is a session whose payload is decoded. Change Value, not Data: a Save encodes it.
type TypedSession[T any] struct {
	*Session
	Value T
	// Dropped is why the payload was dropped (see Payload.Drop) and Value is zero; nil otherwise. A Save or Update clears it.
	Dropped error
}

// Create is Store.Create.
func (t Typed[T]) Create(ctx context.Context, value T, cols ...Column) (*TypedSession[T], error) {
	data, err := t.Payload.Encode(value)
	if err != nil {
		return nil, err
	}
	sess, err := t.Store.Create(ctx, data, cols...)
	if err != nil {
		return nil, err
	}
	return &TypedSession[T]{Session: sess, Value: value}, nil
}

// Load is Store.Load. A payload that is no T is an ErrPayload that names T, and the session stays as it is.
func (t Typed[T]) Load(ctx context.Context, id string) (*TypedSession[T], error) {
	sess, err := t.Store.Load(ctx, id)
	if err != nil {
		return nil, err
	}
	return t.decode(sess)
}

// Save is Store.Save.
func (t Typed[T]) Save(ctx context.Context, sess *TypedSession[T], cols ...Column) error {
	if sess == nil || sess.Session == nil {
		return ErrInvalidID
	}
	data, err := t.Payload.Encode(sess.Value)
	if err != nil {
		return err
	}
	before := sess.Data
	sess.Data = data
	if err := t.Store.Save(ctx, sess.Session, cols...); err != nil {
		sess.Data = before
		return err
	}
	sess.Dropped = nil
	return nil
}

// Update is Store.Update.
func (t Typed[T]) Update(ctx context.Context, id string, f func(*TypedSession[T]) error) (*TypedSession[T], error) {
	var last *TypedSession[T]
	_, err := t.Store.Update(ctx, id, func(s *Session) error {
		sess, err := t.decode(s)
		if err != nil {
			return err
		}
		if err := f(sess); err != nil {
			return err
		}
		last = sess
		sess.Data, err = t.Payload.Encode(sess.Value)
		return err
	})
	if err != nil {
		return nil, err
	}
	last.Dropped = nil
	return last, nil
}

// Rotate is Store.Rotate. A payload that is no T is an ErrPayload, and the session keeps its id.
func (t Typed[T]) Rotate(ctx context.Context, id string, cols ...Column) (*TypedSession[T], error) {
	// Once it is rotated, only the answer has the new id: with an error in its place the client would be signed out.
	if _, err := t.Load(ctx, id); err != nil {
		return nil, err
	}
	sess, err := t.Store.Rotate(ctx, id, cols...)
	if err != nil {
		return nil, err
	}
	return t.decode(sess)
}

// List is Store.List. A payload that is no T comes with its error and a session that has a zero Value, and doesn't end
// the loop; any other error does, with a nil session.
func (t Typed[T]) List(ctx context.Context, where ...func(*sql.Selector)) iter.Seq2[*TypedSession[T], error] {
	return func(yield func(*TypedSession[T], error) bool) {
		for sess, err := range t.Store.List(ctx, where...) {
			if err != nil {
				yield(nil, err)
				return
			}
			typed, err := t.decode(sess)
			if err != nil {
				typed = &TypedSession[T]{Session: sess}
			}
			if !yield(typed, err) {
				return
			}
		}
	}
}

func (t Typed[T]) decode(sess *Session) (*TypedSession[T], error) {
	value, drop, err := t.Payload.decode(sess.Data)
	switch {
	case drop:
		return &TypedSession[T]{Session: sess, Dropped: err}, nil
	case err != nil:
		return nil, err
	}
	return &TypedSession[T]{Session: sess, Value: value}, nil
}

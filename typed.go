package entsession

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"

	"entgo.io/ent/dialect/sql"
)

// Typed is a store whose payload is a T, kept as JSON.
//
//	type Cart struct{ Items []string }
//	carts := entsession.Typed[Cart]{Store: store}
//	s, err := carts.Create(ctx, Cart{})
//	_, err = carts.Update(ctx, s.ID(), func(s *entsession.TypedSession[Cart]) error {
//		s.Value.Items = append(s.Value.Items, "tea")
//		return nil
//	})
type Typed[T any] struct{ *Store }

// TypedSession is a session whose payload is decoded. Change Value, not Data: a Save encodes it.
type TypedSession[T any] struct {
	*Session
	Value T
}

// Create is Store.Create.
func (t Typed[T]) Create(ctx context.Context, value T, cols ...Column) (*TypedSession[T], error) {
	data, err := encode(value)
	if err != nil {
		return nil, err
	}
	sess, err := t.Store.Create(ctx, data, cols...)
	if err != nil {
		return nil, err
	}
	return &TypedSession[T]{sess, value}, nil
}

// Load is Store.Load. A payload that is no T is an error that names T, and the session stays as it is.
func (t Typed[T]) Load(ctx context.Context, id string) (*TypedSession[T], error) {
	sess, err := t.Store.Load(ctx, id)
	if err != nil {
		return nil, err
	}
	return decode[T](sess)
}

// Save is Store.Save.
func (t Typed[T]) Save(ctx context.Context, sess *TypedSession[T], cols ...Column) error {
	if sess == nil || sess.Session == nil {
		return ErrInvalidID
	}
	data, err := encode(sess.Value)
	if err != nil {
		return err
	}
	before := sess.Data
	sess.Data = data
	if err := t.Store.Save(ctx, sess.Session, cols...); err != nil {
		sess.Data = before
		return err
	}
	return nil
}

// Update is Store.Update.
func (t Typed[T]) Update(ctx context.Context, id string, f func(*TypedSession[T]) error) (*TypedSession[T], error) {
	var last *TypedSession[T]
	_, err := t.Store.Update(ctx, id, func(s *Session) error {
		sess, err := decode[T](s)
		if err != nil {
			return err
		}
		if err := f(sess); err != nil {
			return err
		}
		last = sess
		sess.Data, err = encode(sess.Value)
		return err
	})
	if err != nil {
		return nil, err
	}
	return last, nil
}

// Rotate is Store.Rotate.
func (t Typed[T]) Rotate(ctx context.Context, id string, cols ...Column) (*TypedSession[T], error) {
	sess, err := t.Store.Rotate(ctx, id, cols...)
	if err != nil {
		return nil, err
	}
	return decode[T](sess)
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
			typed, err := decode[T](sess)
			if err != nil {
				typed = &TypedSession[T]{Session: sess}
			}
			if !yield(typed, err) {
				return
			}
		}
	}
}

func encode[T any](value T) ([]byte, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("entsession: encoding a %T as JSON: %w", value, err)
	}
	return data, nil
}

// decode takes an empty payload for the zero T: a session made by something else may have none yet.
func decode[T any](sess *Session) (*TypedSession[T], error) {
	out := &TypedSession[T]{Session: sess}
	if len(sess.Data) == 0 {
		return out, nil
	}
	if err := json.Unmarshal(sess.Data, &out.Value); err != nil {
		return nil, fmt.Errorf("entsession: decoding the payload as a %T: %w", out.Value, err)
	}
	return out, nil
}

package entsession

import (
	"bytes"
	"context"
	"reflect"
	"slices"
	"time"
)

// fromContext adds the columns that Config.ColumnsFunc gives for a context to those that a caller named, which win.
func (s *Store) fromContext(ctx context.Context, named []Column) []Column {
	return s.fromContextFor(ctx, nil, named)
}

// fromContextFor is fromContext for a session that was loaded: it leaves out what the session holds already, so that a request that brings
// nothing new costs no write.
func (s *Store) fromContextFor(ctx context.Context, sess *Session, named []Column) []Column {
	if s.cfg.ColumnsFunc == nil {
		return named
	}
	out := slices.Clone(named)
	for _, c := range s.cfg.ColumnsFunc(ctx) {
		if !slices.ContainsFunc(named, func(n Column) bool { return n.name == c.name }) && !sess.holds(c) {
			out = stage(out, c)
		}
	}
	return out
}

// holds tells whether a loaded session has this value. When in doubt it has not, and the value is written.
func (s *Session) holds(c Column) bool {
	if s == nil {
		return false
	}
	i := slices.Index(s.columns, c.name)
	if i < 0 || i >= len(s.values) {
		return false
	}
	if loaded, ok := s.values[i].(time.Time); ok && c.every > 0 {
		return c.value.(time.Time).Sub(loaded).Abs() < c.every
	}
	return equal(s.values[i], c.value)
}

// equal compares a value that was loaded with one that is to be written.
func equal(loaded, given any) bool {
	switch l := loaded.(type) {
	case nil:
		return given == nil
	case string:
		g, ok := given.(string)
		return ok && l == g
	case []byte:
		g, ok := given.([]byte)
		return ok && bytes.Equal(l, g)
	case time.Time:
		g, ok := given.(time.Time)
		return ok && l.Equal(g)
	case bool:
		g, ok := given.(bool)
		return ok && l == g
	case int64:
		v := reflect.ValueOf(given)
		return v.IsValid() && v.CanInt() && v.Int() == l
	}
	return false
}

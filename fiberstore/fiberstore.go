// Package fiberstore keeps the sessions of fiber's session middleware in an entsession.Store: a Storage for fiber v3 and v2.
//
//	app.Use(session.New(session.Config{Storage: fiberstore.New(store)}))
//
// It is for sessions only: what fiber's other middlewares keep in a Storage, such as the counters of the limiter, is to come again under the
// same key after it has expired, and a session never does. See docs/adapters.md.
package fiberstore

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/internal/adapter"
	"github.com/entsession/entsession/internal/found"
	"github.com/entsession/entsession/internal/merge"
)

// Storage is a fiber.Storage. Make it with New, and set its fields before it is used.
type Storage struct {
	// Overwrite has the last writer win, as with fiber's own storages. Otherwise what parallel requests make of a session is merged: values that different
	// requests set, change or remove all count; only for one and the same value the last writer wins. With fiber v2 the last writer always wins: it does not
	// say which request a session belongs to.
	Overwrite bool
	// Columns gives the extra columns of a session from its values, whenever it is written: the subject from the value that the application keeps its user in,
	// say. They win over those of entsession.Config's ColumnsFunc, whose context with fiber v3 is the fiber.Ctx. Defaults to none.
	Columns func(values map[any]any) []entsession.Column

	sessions *entsession.Store
	found    *found.Found
}

// New makes a Storage.
func New(sessions *entsession.Store) *Storage {
	return &Storage{sessions: sessions, found: found.New()}
}

// Get is GetWithContext without a context.
func (s *Storage) Get(key string) ([]byte, error) { return s.GetWithContext(context.Background(), key) }

// Set is SetWithContext without a context.
func (s *Storage) Set(key string, val []byte, exp time.Duration) error {
	return s.SetWithContext(context.Background(), key, val, exp)
}

// Delete is DeleteWithContext without a context.
func (s *Storage) Delete(key string) error { return s.DeleteWithContext(context.Background(), key) }

// Reset is ResetWithContext without a context.
func (s *Storage) Reset() error { return s.ResetWithContext(context.Background()) }

// request is what of a fiber.Ctx of v3 is used: it keeps values for the time of a request.
type request interface {
	context.Context
	Locals(key any, value ...any) any
}

// local is the key of a session in a request's values.
type local struct{ id string }

// GetWithContext returns the data of a live session, and nil for a key that is unknown, expired, revoked or malformed. An error is always the database's.
func (s *Storage) GetWithContext(ctx context.Context, key string) ([]byte, error) {
	if key == "" {
		return nil, nil
	}
	key = strings.Clone(key) // fiber uses its memory again
	sess, err := s.sessions.Load(ctx, key)
	switch {
	case errors.Is(err, entsession.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	}
	s.remember(ctx, key, sess)
	return slices.Clone(sess.Data), nil
}

func (s *Storage) remember(ctx context.Context, key string, sess *entsession.Session) {
	if r, ok := ctx.(request); ok {
		r.Locals(local{key}, sess)
		return
	}
	s.found.Add(ctx, key, nil, false)
}

// recall tells what the request has loaded under a key, if it is known, and whether the key was found before.
func (s *Storage) recall(ctx context.Context, key string) (*entsession.Session, bool) {
	if r, ok := ctx.(request); ok {
		sess, ok := r.Locals(local{key}).(*entsession.Session)
		return sess, ok
	}
	_, known := s.found.Get(ctx, key, false)
	return nil, known
}

// SetWithContext writes a session that lives for the given time, or until entsession.Config's MaxLifetime ends it; with 0 it lives as long as the Config says.
//
// A session that GetWithContext has found is written only while it is live: if it was revoked, or has expired, since then, nothing is written, and that is
// no error: the client finds itself signed out at its next request. Any other key is a new one: a session that is there under it is not overwritten, and
// that is an error. A new session without values is not written.
//
// If nothing was changed and the session is to live for about as long as it will, nothing is written: it may expire earlier than it is to, by
// entsession.Config's TouchInterval or a tenth of the time, whichever is less.
func (s *Storage) SetWithContext(ctx context.Context, key string, val []byte, exp time.Duration) error {
	if key == "" || len(val) == 0 {
		return nil
	}
	key = strings.Clone(key)
	w := adapter.Write{ID: key, Data: val, Lifetime: exp, Default: exp == 0}
	var loaded *entsession.Session
	loaded, w.Known = s.recall(ctx, key)
	if !w.Known && empty(val) {
		return nil
	}
	for range attempts {
		if s.Columns != nil {
			values, err := decode(w.Data)
			if err != nil {
				return fmt.Errorf("fiberstore: decoding the session for Columns: %w", err)
			}
			w.Columns = s.Columns(values)
		}
		if loaded != nil {
			w.Loaded, w.Same = loaded, same(loaded.Data, w.Data)
			w.Guarded = w.Same || !s.Overwrite
		}
		res, err := adapter.Put(ctx, s.sessions, w)
		if !errors.Is(err, entsession.ErrConflict) {
			if written, ok := res.Session.(*entsession.Session); ok && err == nil {
				s.written(ctx, key, written)
			}
			return err
		}
		theirs, err := s.sessions.Load(ctx, key)
		if errors.Is(err, entsession.ErrNotFound) {
			return nil
		} else if err != nil {
			return err
		}
		if w.Data, err = merged(loaded.Data, w.Data, theirs.Data); err != nil {
			return fmt.Errorf("fiberstore: merging a session that another request has changed: %w", err)
		}
		loaded = theirs
	}
	return entsession.ErrConflict
}

// attempts to write a session that others keep changing.
const attempts = 32

// written remembers a session within its request. Beyond it, one that was never found is not known: fiber asks for a session before it writes it again.
func (s *Storage) written(ctx context.Context, key string, sess *entsession.Session) {
	if r, ok := ctx.(request); ok {
		r.Locals(local{key}, sess)
	}
}

// DeleteWithContext ends a session for good: no request under way makes its key loadable again. A key that is unknown is no error.
func (s *Storage) DeleteWithContext(ctx context.Context, key string) error {
	return s.sessions.Delete(ctx, key)
}

// ResetWithContext ends all sessions of the entsession.Store's application.
func (s *Storage) ResetWithContext(ctx context.Context) error {
	_, err := s.sessions.Revoke(ctx)
	return err
}

// Close does nothing: the entsession.Store is closed by who has opened it.
func (s *Storage) Close() error { return nil }

// decode reads what fiber's session middleware writes: a map[any]any in v3, a map[string]any in v2.
func decode(val []byte) (map[any]any, error) {
	var values map[any]any
	err := gob.NewDecoder(bytes.NewReader(val)).Decode(&values)
	if err == nil {
		return values, nil
	}
	var byName map[string]any
	if gob.NewDecoder(bytes.NewReader(val)).Decode(&byName) != nil {
		return nil, err
	}
	values = make(map[any]any, len(byName))
	for k, v := range byName {
		values[k] = v
	}
	return values, nil
}

// same tells whether two payloads say the same. Gob writes the entries of a map in an order of chance.
func same(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	if len(a) != len(b) {
		return false
	}
	values, err := decode(a)
	if err != nil {
		return false
	}
	others, err := decode(b)
	return err == nil && reflect.DeepEqual(values, others)
}

// merged is what both have changed since base. Only a fiber.Ctx of v3 gets here, and so are the payloads.
func merged(base, mine, theirs []byte) ([]byte, error) {
	var values [3]map[any]any
	for i, val := range [][]byte{base, mine, theirs} {
		var err error
		if values[i], err = decode(val); err != nil {
			return nil, err
		}
	}
	out := merge.Maps(values[0], values[1], values[2])
	var b bytes.Buffer
	err := gob.NewEncoder(&b).Encode(&out)
	return b.Bytes(), err
}

// empty tells whether a session has no values of the application's: fiber's middleware writes one for every visitor.
func empty(val []byte) bool {
	values, err := decode(val)
	if err != nil {
		return false
	}
	for key := range values {
		if t := reflect.TypeOf(key); t == nil || t.Name() != "absExpirationKeyType" { // of the middleware itself: when its AbsoluteTimeout is over
			return false
		}
	}
	return true
}

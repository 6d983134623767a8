// Package scsstore keeps the sessions of the session manager scs (github.com/alexedwards/scs/v2) in an entsession.Store.
//
//	sessions := scs.New()
//	sessions.Store = scsstore.New(store)
//
// A Store is an scs.Store, scs.CtxStore, scs.IterableStore and scs.IterableCtxStore. See docs/adapters.md.
package scsstore

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/ent/session"
	"github.com/entsession/entsession/internal/adapter"
	"github.com/entsession/entsession/internal/found"
	"github.com/entsession/entsession/internal/merge"
)

// Store of an scs.SessionManager. Make it with New, and set its fields before it is used.
type Store struct {
	// Codec is that of the session manager, if that is not scs's own, which is gob.
	Codec Codec
	// Overwrite has the last writer win, as with scs's own stores. Otherwise what parallel requests make of a session is merged: values that different
	// requests set, change or remove all count; only for one and the same value the last writer wins.
	Overwrite bool
	// Columns gives the extra columns of a session from its values, whenever it is written: the subject from the value that the application
	// keeps its user in, say. They win over those of entsession.Config's ColumnsFunc. It is called while scs holds the session: it must not ask the session
	// manager. Defaults to none.
	Columns func(values map[string]any) []entsession.Column

	sessions *entsession.Store
	found    *found.Found
}

// Codec is an scs.Codec.
type Codec interface {
	Encode(deadline time.Time, values map[string]any) ([]byte, error)
	Decode([]byte) (deadline time.Time, values map[string]any, err error)
}

// New makes a Store. Closing the entsession.Store is left to the caller.
func New(sessions *entsession.Store) *Store {
	return &Store{sessions: sessions, found: found.New()}
}

// Find is FindCtx without a context.
func (s *Store) Find(token string) ([]byte, bool, error) {
	return s.FindCtx(context.Background(), token)
}

// Commit is CommitCtx without a context.
func (s *Store) Commit(token string, b []byte, expiry time.Time) error {
	return s.CommitCtx(context.Background(), token, b, expiry)
}

// Delete is DeleteCtx without a context.
func (s *Store) Delete(token string) error { return s.DeleteCtx(context.Background(), token) }

// All is AllCtx without a context.
func (s *Store) All() (map[string][]byte, error) { return s.AllCtx(context.Background()) }

// FindCtx returns the data of a live session. A token that is unknown, expired, revoked or malformed is not found, which is no error; an error is always
// the database's.
func (s *Store) FindCtx(ctx context.Context, token string) ([]byte, bool, error) {
	sess, err := s.sessions.Load(ctx, token)
	switch {
	case errors.Is(err, entsession.ErrNotFound):
		return nil, false, nil
	case err != nil:
		return nil, false, err
	}
	s.found.Add(ctx, token, sess, ofRequest(ctx))
	return slices.Clone(sess.Data), true, nil
}

// ofRequest tells whether a context ends when net/http has served a request.
func ofRequest(ctx context.Context) bool { return ctx.Value(http.ServerContextKey) != nil }

// CommitCtx writes a session that lives until its expiry, by this host's clock, or until entsession.Config's MaxLifetime ends it.
//
// A session that FindCtx has found is written only while it is live: if it was revoked, or has expired, since it was found, nothing is
// written, and that is no error: the client finds itself signed out at its next request. Any other token is a new one: a session that is there under
// it is not overwritten, and that is an error. A new session without values is not written.
//
// If nothing was changed and the expiry moves by less than entsession.Config's TouchInterval, or a tenth of what is left, nothing is written: the session may
// expire earlier by as much. An expiry that is past ends the session.
func (s *Store) CommitCtx(ctx context.Context, token string, b []byte, expiry time.Time) error {
	lifetime := time.Until(expiry)
	if lifetime <= 0 {
		return s.DeleteCtx(ctx, token)
	}
	w := adapter.Write{ID: token, Data: b, Lifetime: lifetime}
	var loaded *entsession.Session
	if strings.HasPrefix(token, keyed) {
		var err error
		if loaded, err = s.load(ctx, token); errors.Is(err, entsession.ErrNotFound) {
			return nil
		} else if err != nil {
			return err
		}
	} else {
		var held any
		held, w.Known = s.found.Get(ctx, token, ofRequest(ctx))
		loaded, _ = held.(*entsession.Session)
		if !w.Known && s.empty(b) {
			// A visitor whose values are all gone again. But a context that was replaced, or a while since it was found, hides a session that is there.
			if _, err := s.sessions.Load(ctx, token); errors.Is(err, entsession.ErrNotFound) {
				return nil
			} else if err != nil {
				return err
			}
		}
	}
	res, err := s.put(ctx, w, loaded)
	if err == nil && !res.Ended {
		s.found.Add(ctx, token, res.Session, ofRequest(ctx))
	}
	return err
}

// put writes a session over the one that was loaded, merged with what someone else has made of it since.
func (s *Store) put(ctx context.Context, w adapter.Write, loaded *entsession.Session) (res adapter.Result, err error) {
	for range attempts {
		if s.Columns != nil {
			_, values, err := s.codec().Decode(w.Data)
			if err != nil {
				return res, fmt.Errorf("scsstore: decoding the session for Columns: %w", err)
			}
			w.Columns = s.Columns(values)
		}
		if loaded != nil {
			w.Loaded, w.Same = loaded, s.same(loaded.Data, w.Data)
			w.Guarded = w.Same || !s.Overwrite
		}
		if res, err = adapter.Put(ctx, s.sessions, w); !errors.Is(err, entsession.ErrConflict) {
			return res, err
		}
		theirs, err := s.load(ctx, w.ID)
		if errors.Is(err, entsession.ErrNotFound) {
			return adapter.Result{Ended: true}, nil
		} else if err != nil {
			return res, err
		}
		if w.Data, err = s.merge(loaded.Data, w.Data, theirs.Data); err != nil {
			return res, fmt.Errorf("scsstore: merging a session that another request has changed: %w", err)
		}
		loaded = theirs
	}
	return res, err
}

// attempts to write a session that others keep changing.
const attempts = 32

// load loads a session by its token, or by what AllCtx gives for one.
func (s *Store) load(ctx context.Context, token string) (*entsession.Session, error) {
	key, ok := strings.CutPrefix(token, keyed)
	if !ok {
		return s.sessions.Load(ctx, token)
	}
	for sess, err := range s.sessions.List(ctx, session.ID(key)) {
		return sess, err
	}
	return nil, entsession.ErrNotFound
}

func (s *Store) merge(base, mine, theirs []byte) ([]byte, error) {
	var deadlines [3]time.Time
	var values [3]map[string]any
	for i, b := range [][]byte{base, mine, theirs} {
		var err error
		if deadlines[i], values[i], err = s.codec().Decode(b); err != nil {
			return nil, fmt.Errorf("decoding (a Codec of the session manager's own must be the Store's too): %w", err)
		}
	}
	deadline := deadlines[2]
	if !deadlines[0].Equal(deadlines[1]) {
		deadline = deadlines[1]
	}
	return s.codec().Encode(deadline, merge.Maps(values[0], values[1], values[2]))
}

// DeleteCtx ends a session for good: no request under way makes its token loadable again. A token that is unknown is no error.
func (s *Store) DeleteCtx(ctx context.Context, token string) error {
	if key, ok := strings.CutPrefix(token, keyed); ok {
		_, err := s.sessions.Revoke(ctx, session.ID(key))
		return err
	}
	return s.sessions.Delete(ctx, token)
}

// keyed begins what AllCtx gives instead of a token that only its hash is known of. As a cookie it opens nothing: FindCtx does not know it.
const keyed = "key:"

// AllCtx returns all live sessions, in memory all at once. While ids are hashed, as they are by default, their tokens are not known: what stands for
// them can be given to CommitCtx and DeleteCtx, as scs does within Iterate unless its HashTokenInStore is on, but never finds a session. To find the sessions of
// a user, ask the entsession.Store for a column.
func (s *Store) AllCtx(ctx context.Context) (map[string][]byte, error) {
	all := map[string][]byte{}
	for sess, err := range s.sessions.List(ctx) {
		if err != nil {
			return nil, err
		}
		token := sess.ID()
		if token == "" {
			token = keyed + sess.Key()
		}
		all[token] = sess.Data
	}
	return all, nil
}

// same tells whether two payloads say the same. Gob writes the entries of a map in an order of chance.
func (s *Store) same(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	if len(a) != len(b) {
		return false
	}
	deadline, values, err := s.codec().Decode(a)
	if err != nil {
		return false
	}
	other, others, err := s.codec().Decode(b)
	return err == nil && deadline.Equal(other) && reflect.DeepEqual(values, others)
}

// empty tells whether a session has no values. What does not decode may have some.
func (s *Store) empty(b []byte) bool {
	_, values, err := s.codec().Decode(b)
	return err == nil && len(values) == 0
}

func (s *Store) codec() Codec {
	if s.Codec != nil {
		return s.Codec
	}
	return gobCodec{}
}

// gobCodec reads and writes what scs.GobCodec does.
type gobCodec struct{}

type gobSession struct {
	Deadline time.Time
	Values   map[string]any
}

func (gobCodec) Encode(deadline time.Time, values map[string]any) ([]byte, error) {
	var b bytes.Buffer
	err := gob.NewEncoder(&b).Encode(gobSession{deadline, values})
	return b.Bytes(), err
}

func (gobCodec) Decode(b []byte) (time.Time, map[string]any, error) {
	var g gobSession
	err := gob.NewDecoder(bytes.NewReader(b)).Decode(&g)
	return g.Deadline, g.Values, err
}

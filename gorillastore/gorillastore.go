// Package gorillastore keeps the sessions of github.com/gorilla/sessions in an entsession.Store. gin-contrib/sessions and echo-contrib/session use
// them too.
//
//	sessions := gorillastore.New(store, authenticationKey)
//	session, err := sessions.Get(r, "session")
//
// The cookie holds the session's id, and the table the values. See docs/adapters.md.
package gorillastore

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"runtime"
	"sync"
	"time"
	"weak"

	"github.com/gorilla/securecookie"
	"github.com/gorilla/sessions"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/internal/adapter"
	"github.com/entsession/entsession/internal/merge"
)

// Store is a sessions.Store. Make it with New, and set its fields before it is used.
type Store struct {
	// Codecs sign, and with a second key encrypt, the id in the cookie. Of several, the first is for new cookies and all are for those that come: that is
	// how keys are rotated. Without one the cookie holds the id as it is, which has 256 random bits and needs no signature; but then a client may send the cookie of one
	// name under another. An application with sessions of several names needs a key, or a store with another Config.Application for each.
	Codecs []securecookie.Codec
	// Options of new sessions. MaxAge, in seconds, is also how long a session lives after its last Save; with 0 it lives as long as the entsession.Store's
	// Config says. Defaults to 30 days, HttpOnly, SameSite=Lax and the path "/"; set Secure where there is TLS.
	Options *sessions.Options
	// Serializer of the values. Defaults to Gob.
	Serializer Serializer
	// Conflicts says what happens to a session that another request has changed since it was loaded. Defaults to Merge.
	Conflicts Conflicts
	// Columns gives the extra columns of a session whenever it is saved: the subject from the value that the application keeps its user in, say. They win
	// over those of entsession.Config's ColumnsFunc. Defaults to none.
	Columns func(*sessions.Session) []entsession.Column

	sessions *entsession.Store
	loaded   sync.Map // weak.Pointer[sessions.Session] -> loaded
}

var _ sessions.Store = (*Store)(nil)

// Conflicts says what a Save does with a session that another request has changed since.
type Conflicts int

const (
	// Merge keeps what both have set, changed or removed; only for one and the same value the last writer wins.
	Merge Conflicts = iota
	// Refuse writes nothing, and Save gives entsession.ErrConflict.
	Refuse
	// Overwrite has the last writer win: what the other request has changed is lost.
	Overwrite
)

// loaded is what is known of a session of gorilla's.
type loaded struct {
	session *entsession.Session
	err     error               // of the database, when it was to be loaded
	broken  *entsession.Session // whose payload does not decode: all that can be done with it is to end it
	moved   error               // why the payload does not decode, of a session that Renew gave an id which its client has not been told yet
}

// New makes a Store. The keys come in pairs, to authenticate and to encrypt: see securecookie.CodecsFromPairs. Closing the entsession.Store is left to the caller.
func New(store *entsession.Store, keyPairs ...[]byte) *Store {
	s := &Store{
		Codecs:   securecookie.CodecsFromPairs(keyPairs...),
		Options:  &sessions.Options{Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode},
		sessions: store,
	}
	s.MaxAge(30 * 24 * 60 * 60)
	return s
}

// MaxAge sets how many seconds new sessions and their cookies live.
func (s *Store) MaxAge(seconds int) {
	s.Options.MaxAge = seconds
	for _, c := range s.Codecs {
		if c, ok := c.(*securecookie.SecureCookie); ok {
			c.MaxAge(max(seconds, 0))
		}
	}
}

// Get returns the session of a request, the same one whenever it is asked for. See New.
func (s *Store) Get(r *http.Request, name string) (*sessions.Session, error) {
	return sessions.GetRegistry(r).Get(s, name)
}

// New loads the session that the request's cookie of that name leads to, or makes a new one, which is no row before it is saved. A cookie that
// leads nowhere (of an ended session, tampered with, made up) is no error. An error is the database's, or that of a payload which does not decode; there is a
// new session then too, which the interface asks for, but after an error of the database's it can't be saved: it would take the place of a session that is
// there.
func (s *Store) New(r *http.Request, name string) (*sessions.Session, error) {
	session := sessions.NewSession(s, name)
	options := *s.Options
	session.Options, session.IsNew = &options, true
	cookie, err := r.Cookie(name)
	if err != nil {
		return session, nil
	}
	id := cookie.Value
	if len(s.Codecs) > 0 {
		if err := securecookie.DecodeMulti(name, cookie.Value, &id, s.Codecs...); err != nil {
			return session, nil
		}
	}
	held, err := s.sessions.Load(r.Context(), id)
	switch {
	case errors.Is(err, entsession.ErrNotFound):
		return session, nil
	case err != nil:
		s.keep(session, loaded{err: err})
		return session, err
	}
	values, err := s.decode(session, held)
	if err != nil {
		s.keep(session, loaded{broken: held})
		return session, err
	}
	session.Values, session.ID, session.IsNew = values, held.ID(), false
	s.keep(session, loaded{session: held})
	return session, nil
}

// keep remembers what belongs to a session for as long as there is that session.
func (s *Store) keep(session *sessions.Session, l loaded) {
	key := weak.Make(session)
	if _, known := s.loaded.Swap(key, l); !known {
		runtime.AddCleanup(session, func(key weak.Pointer[sessions.Session]) { s.loaded.Delete(key) }, key)
	}
}

func (s *Store) kept(session *sessions.Session) loaded {
	l, ok := s.loaded.Load(weak.Make(session))
	if !ok {
		return loaded{}
	}
	return l.(loaded)
}

// Save writes a session and sets its cookie. With Options.MaxAge below 0 it ends the session, for good, and takes the cookie away. A new session without
// values is not written, and gets no cookie.
//
// If the session was ended while the request was under way, nothing is written and no cookie is set, and that is no error: the client finds itself signed out
// at its next request. What another request has changed is dealt with as Conflicts says.
//
// Nothing is written if nothing was changed and the session is to live for about as long as it will: by less than entsession.Config's TouchInterval more, or a
// tenth of its lifetime.
func (s *Store) Save(r *http.Request, w http.ResponseWriter, session *sessions.Session) error {
	l := s.kept(session)
	if l.err != nil {
		return fmt.Errorf("gorillastore: the session could not be loaded: %w", l.err)
	}
	if session.Options == nil {
		options := *s.Options
		session.Options = &options
	}
	if session.Options.MaxAge < 0 {
		for _, held := range []*entsession.Session{l.session, l.broken} {
			if held == nil {
				continue
			}
			if err := s.sessions.Delete(r.Context(), held.ID()); err != nil {
				return err
			}
		}
		s.keep(session, loaded{}) // if it is saved again, it is another one
		session.ID = ""
		http.SetCookie(w, sessions.NewCookie(session.Name(), "", session.Options))
		return nil
	}
	if l.moved != nil {
		return errors.Join(l.moved, s.setCookie(w, session, l.session.ID()))
	}
	if l.session == nil && len(session.Values) == 0 {
		return nil
	}
	held, err := s.write(r.Context(), session, l.session)
	if err != nil || held == nil {
		return err
	}
	s.keep(session, loaded{session: held})
	session.ID = held.ID()
	return s.setCookie(w, session, held.ID())
}

func (s *Store) setCookie(w http.ResponseWriter, session *sessions.Session, id string) error {
	value := id
	if len(s.Codecs) > 0 {
		var err error
		if value, err = securecookie.EncodeMulti(session.Name(), id, s.Codecs...); err != nil {
			return fmt.Errorf("gorillastore: signing the cookie: %w", err)
		}
	}
	http.SetCookie(w, sessions.NewCookie(session.Name(), value, session.Options))
	return nil
}

// attempts to write a session that others keep changing.
const attempts = 32

// write gives the session as it is now, or nil if it has ended.
func (s *Store) write(ctx context.Context, session *sessions.Session, held *entsession.Session) (*entsession.Session, error) {
	write := adapter.Write{Lifetime: time.Duration(session.Options.MaxAge) * time.Second, Default: session.Options.MaxAge == 0}
	for range attempts {
		data, err := s.serializer().Serialize(session.Values)
		if err != nil {
			return nil, fmt.Errorf("gorillastore: encoding session %q: %w", session.Name(), err)
		}
		write.Data = data
		var base map[any]any
		if held != nil {
			if base, err = s.decode(session, held); err != nil {
				return nil, err
			}
			write.ID, write.Loaded, write.Same = held.ID(), held, reflect.DeepEqual(base, session.Values)
			write.Guarded = write.Same || s.Conflicts != Overwrite
		}
		if s.Columns != nil {
			write.Columns = s.Columns(session)
		}
		res, err := adapter.Put(ctx, s.sessions, write)
		if err == nil && res.Ended {
			return nil, nil
		} else if err == nil {
			written, _ := res.Session.(*entsession.Session)
			return written, nil
		}
		if !errors.Is(err, entsession.ErrConflict) || s.Conflicts == Refuse && !write.Same {
			return nil, err
		}
		if held, err = s.sessions.Load(ctx, write.ID); errors.Is(err, entsession.ErrNotFound) {
			return nil, nil
		} else if err != nil {
			return nil, err
		}
		theirs, err := s.decode(session, held)
		if err != nil {
			return nil, err
		}
		session.Values = merge.Maps(base, session.Values, theirs)
	}
	return nil, entsession.ErrConflict
}

// Renew gives a session a new id, and ends the old one for good. Call it before a sign-in is saved, and whenever rights change: it is what defeats session
// fixation. Save sets the cookie. A new session needs none. If the session was ended in the meantime it is entsession.ErrNotFound.
//
// If another request has meanwhile written what does not decode here, as a newer version of the application may while it is rolled out, that is an error and
// the old id stays; or, in the moment that Renew takes, the session has its new id, and Save sets the cookie and gives that error again.
func (s *Store) Renew(r *http.Request, session *sessions.Session) error {
	l := s.kept(session)
	switch {
	case l.err != nil:
		return fmt.Errorf("gorillastore: the session could not be loaded: %w", l.err)
	case l.moved != nil:
		return l.moved
	case l.session == nil:
		return nil
	}
	base, err := s.decode(session, l.session)
	if err != nil {
		return err
	}
	// Once the old id has ended it is too late to find that the session can't be saved.
	now, err := s.sessions.Load(r.Context(), l.session.ID())
	if err != nil {
		return err
	}
	if _, err := s.decode(session, now); err != nil {
		return err
	}
	renewed, err := s.sessions.Rotate(r.Context(), l.session.ID())
	if err != nil {
		return err
	}
	session.ID = renewed.ID()
	// Of what another request has changed since the session was loaded, nothing was seen yet.
	values, err := s.decode(session, renewed)
	if err != nil {
		s.keep(session, loaded{session: renewed, moved: err})
		return err
	}
	session.Values = merge.Maps(base, session.Values, values)
	s.keep(session, loaded{session: renewed})
	return nil
}

func (s *Store) decode(session *sessions.Session, held *entsession.Session) (map[any]any, error) {
	values, err := s.serializer().Deserialize(held.Data)
	if err != nil {
		return nil, fmt.Errorf("gorillastore: decoding session %q: %w", session.Name(), err)
	}
	return values, nil
}

func (s *Store) serializer() Serializer {
	if s.Serializer != nil {
		return s.Serializer
	}
	return Gob{}
}

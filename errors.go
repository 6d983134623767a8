package entsession

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/entsession/entsession/internal/fault"
)

// The errors a caller may test for with errors.Is. Any other error is a fault of the system: it says what was being done,
// and never holds an id or a password.
var (
	// ErrNotFound means that there is no such live session: never created, expired, revoked, of another application,
	// or the id is malformed. A caller can't tell these apart.
	ErrNotFound = errors.New("entsession: session not found")

	// ErrConflict means that the session was changed by someone else since it was loaded. Nothing was written: load it again.
	ErrConflict = errors.New("entsession: session was changed by someone else since it was loaded")

	// ErrTooLarge means that the payload is larger than Config.MaxDataBytes. Nothing was written.
	ErrTooLarge = errors.New("entsession: payload is too large")

	// ErrInvalidID means that a method was given a *Session that no method of the store returned.
	ErrInvalidID = errors.New("entsession: not a session of this store")

	// ErrOverloaded means that Config.MaxQueue calls of this kind were waiting for the database already (and from Health, that every
	// connection is in use). Nothing was sent: answer with "503 Service Unavailable", or try again later.
	ErrOverloaded = errors.New("entsession: too many calls are waiting for the database")

	// ErrUnavailable means that the database can't be used now: it can't be reached, or its connection broke, or it takes no writes, or it did
	// not answer within Config.StatementTimeout. Trying again at once was done already, where that could help: answer "503 Service
	// Unavailable". A change may have been made nevertheless, if its connection broke before the answer came. The error's text, and the
	// errors that it wraps, say what happened.
	ErrUnavailable = errors.New("entsession: database is unavailable")

	// ErrClosed means that the store is closed.
	ErrClosed = errors.New("entsession: store is closed")
)

var errNilContext = errors.New("entsession: context is nil")

// ColumnError says what is wrong with an extra column. Nothing was written.
type ColumnError struct {
	Column string
	Reason string
}

// Error names the column, and never its value.
func (e *ColumnError) Error() string {
	return fmt.Sprintf("entsession: column %q: %s", e.Column, e.Reason)
}

// fail is how an error leaves the store: a sentinel as it is, anything else with what was being done, the way out
// where there is one, and no secret.
func (s *Store) fail(doing string, err error, secrets *ref) error {
	if err == nil {
		return nil
	}
	return s.failed(doing, err, secrets)
}

func (s *Store) failed(doing string, err error, secrets *ref) error {
	var column *ColumnError
	switch {
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrConflict), errors.Is(err, ErrTooLarge),
		errors.Is(err, ErrInvalidID), errors.Is(err, ErrOverloaded), errors.Is(err, ErrClosed), errors.Is(err, errNilContext), errors.As(err, &column):
		if errors.Is(err, ErrOverloaded) {
			s.notices.refused(s, doing)
		}
		return err
	case s.closed.Load():
		return ErrClosed
	}
	kind := fault.Of(err)
	err = redact(err, secrets)
	switch kind {
	case fault.Lost, fault.NotSent, fault.ReadOnly:
		err = &unavailable{err}
	case fault.NoTable:
		return fmt.Errorf("entsession: %s: table %s does not exist: create it with Store.Migrate, `entsession migrate apply` or `atlas migrate apply`: %w", doing, s.table, err)
	case fault.NoColumn:
		return fmt.Errorf("entsession: %s: table %s lacks a column: bring it up to date with Store.Migrate, `entsession migrate apply` or `atlas migrate apply`: %w", doing, s.table, err)
	}
	err = fmt.Errorf("entsession: %s: %w", doing, err)
	if errors.Is(err, ErrUnavailable) {
		s.notices.unavailable(s, doing, err)
	}
	return err
}

// unavailable is an error that is ErrUnavailable too.
type unavailable struct{ err error }

func (e *unavailable) Error() string        { return "database is unavailable: " + e.err.Error() }
func (e *unavailable) Is(target error) bool { return target == ErrUnavailable }
func (e *unavailable) Unwrap() error        { return e.err }

// redacted is an error whose text named an id. Its text does no longer, and the errors below it are out of a printer's reach.
type redacted struct {
	text string
	err  error
}

func (e *redacted) Error() string { return e.text }

// Is keeps errors.Is working for what callers test for.
func (e *redacted) Is(target error) bool {
	return (target == context.Canceled || target == context.DeadlineExceeded) && errors.Is(e.err, target)
}

// redact removes an id and its stored form from what a database said: MySQL, for one, quotes the key in "Duplicate entry".
func redact(err error, r *ref) error {
	if r == nil {
		return err
	}
	text := err.Error()
	clean := text
	for _, secret := range []string{r.id, r.key} {
		if secret != "" {
			clean = strings.ReplaceAll(clean, secret, "[id]")
		}
	}
	if clean == text {
		return err
	}
	return &redacted{text: clean, err: err}
}

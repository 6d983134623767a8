package fault

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// ConnectError is a connection that could not be made, or made ready: whatever went wrong, no statement was sent.
type ConnectError struct {
	Target string // which database, without secrets
	Err    error  // without secrets
	Kind   Kind
	// Away is for how long no connection could be made, as far as the pool that tried knows. 0: it was the first one that failed, or
	// nobody counts.
	Away time.Duration
}

// Connecting makes a ConnectError of a driver's.
func Connecting(target string, err error) *ConnectError {
	return &ConnectError{Target: target, Err: err, Kind: whileConnecting(err)}
}

// Error says where to and why, and for how long already.
func (e *ConnectError) Error() string {
	if e.Away < time.Second {
		return "connecting to " + e.Target + ": " + e.Err.Error()
	}
	return fmt.Sprintf("connecting to %s, in vain for %v: %v", e.Target, e.Away.Truncate(time.Second), e.Err)
}

// Unwrap is the reason.
func (e *ConnectError) Unwrap() error { return e.Err }

// Away is for how long the database could not be connected to when this error came; 0 for any other error.
func Away(err error) time.Duration {
	var failed *ConnectError
	if errors.As(err, &failed) {
		return failed.Away
	}
	return 0
}

// connecting is the kind of an error that comes from connecting: the guard's, or that of a pgx driver without our guard.
func connecting(err error) (Kind, bool) {
	var ours *ConnectError
	if errors.As(err, &ours) {
		return ours.Kind, true
	}
	var pgx *pgconn.ConnectError
	if errors.As(err, &pgx) {
		return whileConnecting(pgx.Unwrap()), true
	}
	return Other, false
}

// whileConnecting weighs a failure by what is known of a connection that was not made: no statement was sent. What is
// left to tell is whether trying again may help.
func whileConnecting(err error) Kind {
	if errors.Is(err, context.Canceled) {
		return Other
	}
	// target_session_attrs=read-write or primary, and no host is
	if errors.Is(err, pgconn.ErrReadOnlyConnection) || errors.Is(err, pgconn.ErrStandbyConnection) {
		return ReadOnly
	}
	if k, ok := coded(err); ok {
		switch k {
		case Lost, NotSent:
			return NotSent
		case ReadOnly, Contention:
			return k
		}
		return Other // wrong password, no such database, an OnConnect statement that is wrong
	}
	var certificate *tls.CertificateVerificationError
	if errors.As(err, &certificate) {
		return Other
	}
	return NotSent
}

package fault

import (
	"context"
	"crypto/tls"
	"errors"

	"github.com/jackc/pgx/v5/pgconn"
)

// ConnectError is a connection that could not be made, or made ready: whatever went wrong, no statement was sent.
type ConnectError struct {
	Target string // which database, without secrets
	Err    error  // without secrets
	Kind   Kind
}

// Connecting makes a ConnectError of a driver's.
func Connecting(target string, err error) *ConnectError {
	return &ConnectError{Target: target, Err: err, Kind: whileConnecting(err)}
}

// Error says where to and why.
func (e *ConnectError) Error() string { return "connecting to " + e.Target + ": " + e.Err.Error() }

// Unwrap is the reason.
func (e *ConnectError) Unwrap() error { return e.Err }

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
	if errors.Is(err, pgconn.ErrReadOnlyConnection) { // target_session_attrs=read-write, and no host is
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

// Package fault tells what kind of failure an error from a database is. It is the one place where that is decided. It goes
// by codes, with a single exception in sqlite.go, where SQLite has none.
//
// Of looks, in this order, at: whether a connection was being made (connect.go), the context, the code that the database
// gave (postgres.go, mysql.go, sqlite.go), and at last the connection itself (transport.go).
package fault

import (
	"context"
	"errors"
	"fmt"
)

// Kind is what the store needs to know about a failure.
type Kind int

// The kinds.
const (
	// Other is everything that needs no special care: it is passed on.
	Other Kind = iota
	// Lost means the connection died: the statement may or may not have taken effect.
	Lost
	// NotSent means the statement surely did not take effect and another connection may do (server starting, shutting
	// down before the statement ran, too many connections, connection refused).
	NotSent
	// ReadOnly means the server takes no writes: the connection must go, a new one may find the new primary.
	ReadOnly
	// Contention means a deadlock, a serialization failure, a lock wait that timed out or a busy SQLite file: nothing was
	// done, try again. Within a transaction the whole of it is to be repeated, after a rollback (MySQL's 1205 leaves it
	// open).
	Contention
	// StalePlan means that a prepared statement no longer fits the table: nothing was done, try again.
	StalePlan
	// Duplicate means a unique constraint was violated.
	Duplicate
	// Constraint means that another constraint was violated, or a value does not fit its column.
	Constraint
	// Charset means that the text can't be represented in the column's character set.
	Charset
	// NoTable means that the table does not exist.
	NoTable
	// NoColumn means that a column does not exist.
	NoColumn
)

var names = [...]string{
	Other: "other", Lost: "connection lost", NotSent: "not sent", ReadOnly: "read only", Contention: "contention",
	StalePlan: "stale plan", Duplicate: "duplicate", Constraint: "constraint", Charset: "charset",
	NoTable: "no such table", NoColumn: "no such column",
}

// String names the kind for a log or a failed test.
func (k Kind) String() string {
	if k < 0 || int(k) >= len(names) {
		return fmt.Sprintf("Kind(%d)", int(k))
	}
	return names[k]
}

// Of is the kind of an error: of nil, of a context that ended, and of what it does not know, Other.
//
// An error that says that a deadline passed while connecting is NotSent: the drivers bound that by a time of their own.
// If it was the caller's deadline, the guard knows and says Other; of a driver without it, only the caller's context
// tells.
func Of(err error) Kind {
	if err == nil {
		return Other
	}
	if k, ok := connecting(err); ok {
		return k
	}
	// Before all else: drivers wrap it in errors that look like a lost connection.
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return Other
	}
	if k, ok := coded(err); ok {
		return k
	}
	return transport(err)
}

// coded is the kind that the database itself gave; false when the error is not the database's.
func coded(err error) (Kind, bool) {
	if code, ok := sqlState(err); ok {
		return ofSQLState(code, err), true
	}
	if number, ok := mysqlNumber(err); ok {
		return mysqlNumbers[number], true
	}
	if code, text, ok := sqliteCode(err); ok {
		return ofSQLite(code, text), true
	}
	return Other, false
}

// Code is the database's own code for an error, such as "SQLSTATE 42P01" or "error 1146". It holds nothing of the
// statement and its values, unlike the error's text. "" means that the error is not the database's.
func Code(err error) string {
	if code, ok := sqlState(err); ok {
		return "SQLSTATE " + code
	}
	if number, ok := mysqlNumber(err); ok {
		return fmt.Sprintf("error %d", number)
	}
	if code, _, ok := sqliteCode(err); ok {
		return fmt.Sprintf("SQLite code %d", code)
	}
	return ""
}

package migrator

import (
	"errors"
	"slices"

	"github.com/entsession/entsession/internal/fault"
)

// errLocked says that another process holds the lock.
var errLocked = errors.New("another process is migrating")

// raceError says that another process may have done the same at the same time: what failed is tried again.
type raceError struct{ error }

func (e raceError) Unwrap() error { return e.error }

// repeatable tells whether a step that failed is worth repeating: nothing of it was done, or what was done is on record.
func repeatable(err error) bool {
	var race raceError
	if errors.As(err, &race) {
		return true
	}
	switch fault.Of(err) {
	case fault.Contention, fault.StalePlan, fault.Duplicate:
		return true
	}
	// What was to be made is there: without advisory locks only the database decides who was first.
	return slices.Contains([]string{
		"SQLSTATE 42P07", // duplicate_table
		"SQLSTATE 42701", // duplicate_column
		"SQLSTATE 42710", // duplicate_object
	}, fault.Code(err))
}

// alreadyDone tells whether MySQL refuses a statement because its effect is there.
func alreadyDone(err error) bool {
	return slices.Contains([]string{
		"error 1050", // ER_TABLE_EXISTS_ERROR
		"error 1060", // ER_DUP_FIELDNAME
		"error 1061", // ER_DUP_KEYNAME
		"error 1091", // ER_CANT_DROP_FIELD_OR_KEY
	}, fault.Code(err))
}

// noAdvisoryLocks tells whether a database that speaks PostgreSQL's protocol has none.
func noAdvisoryLocks(err error) bool {
	return slices.Contains([]string{
		"SQLSTATE 0A000", // feature_not_supported
		"SQLSTATE 42883", // undefined_function
	}, fault.Code(err))
}

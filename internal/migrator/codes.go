package migrator

import (
	"errors"
	"reflect"
	"slices"
)

// Errors are told apart by their codes, which every driver of a database has: an application may pass one of its own.

// errLocked says that another process holds the lock.
var errLocked = errors.New("another process is migrating")

// raceError says that another process may have done the same at the same time: what failed is tried again.
type raceError struct{ error }

func (e raceError) Unwrap() error { return e.error }

// repeatable tells whether a step that failed is worth repeating: nothing of it was done.
func repeatable(err error) bool {
	var race raceError
	if errors.As(err, &race) {
		return true
	}
	switch state(err) {
	case "40001", "40P01", // serialization failure, deadlock
		"23505", "42P07", "42710", "42701", "42P06": // what was to be made is there: without advisory locks only the database decides who was first
		return true
	}
	switch number(err) {
	case 1213, 1205, 1062: // deadlock, lock wait timeout, duplicate entry
		return true
	}
	return false
}

// busy tells whether another connection has locked the SQLite file.
func busy(err error) bool {
	const sqliteBusy, sqliteLocked = 5, 6
	primary := sqliteCode(err) & 0xff
	return primary == sqliteBusy || primary == sqliteLocked
}

// alreadyDone tells whether MySQL refuses a statement because its effect is there.
func alreadyDone(err error) bool {
	return slices.Contains([]uint64{
		1050, // ER_TABLE_EXISTS_ERROR
		1060, // ER_DUP_FIELDNAME
		1061, // ER_DUP_KEYNAME
		1091, // ER_CANT_DROP_FIELD_OR_KEY
	}, number(err))
}

// noAdvisoryLocks tells whether a database that speaks PostgreSQL's protocol has none.
func noAdvisoryLocks(err error) bool {
	s := state(err)
	return s == "0A000" || s == "42883" // feature not supported, undefined function
}

// state is the SQLSTATE of an error from PostgreSQL.
func state(err error) string {
	var e interface {
		error
		SQLState() string
	}
	if errors.As(err, &e) {
		return e.SQLState()
	}
	return ""
}

// number is the code of an error from MySQL; its drivers have it as a field.
func number(err error) uint64 { return intField(err, "Number") }

// sqliteCode is the code of an error from SQLite, a method or a field.
func sqliteCode(err error) uint64 {
	var e interface {
		error
		Code() int
	}
	if errors.As(err, &e) {
		return uint64(e.Code())
	}
	return intField(err, "Code")
}

// intField finds the first error in the chain that is a struct with the named integer in it.
func intField(err error, name string) uint64 {
	var code uint64
	walk(err, func(e error) bool {
		v := reflect.Indirect(reflect.ValueOf(e))
		if v.Kind() != reflect.Struct {
			return false
		}
		found, ok := v.Type().FieldByName(name)
		if !ok {
			return false
		}
		switch f, err := v.FieldByIndexErr(found.Index); {
		case err != nil:
			return false
		case f.CanUint():
			code = f.Uint()
		case f.CanInt():
			code = uint64(f.Int())
		}
		return code != 0
	})
	return code
}

// walk visits the errors that err wraps until visit returns true.
func walk(err error, visit func(error) bool) bool {
	if err == nil {
		return false
	}
	if visit(err) {
		return true
	}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		return walk(e.Unwrap(), visit)
	case interface{ Unwrap() []error }:
		return slices.ContainsFunc(e.Unwrap(), func(err error) bool { return walk(err, visit) })
	}
	return false
}

package fault

import (
	"errors"
	"reflect"
	"strings"
)

// SQLite's result codes (https://www.sqlite.org/rescode.html). The low byte of an extended code is its primary one.
const (
	sqliteError      = 1
	sqliteBusy       = 5
	sqliteLocked     = 6
	sqliteReadOnly   = 8
	sqliteProtocol   = 15
	sqliteSchema     = 17
	sqliteTooBig     = 18
	sqliteConstraint = 19
	sqliteMismatch   = 20

	sqliteConstraintPrimaryKey = sqliteConstraint | 6<<8
	sqliteConstraintUnique     = sqliteConstraint | 8<<8
	sqliteConstraintRowID      = sqliteConstraint | 10<<8
)

func ofSQLite(code int, text string) Kind {
	switch code {
	case sqliteConstraintPrimaryKey, sqliteConstraintUnique, sqliteConstraintRowID:
		return Duplicate
	}
	switch code & 0xff {
	case sqliteBusy, sqliteLocked, sqliteProtocol: // PROTOCOL: it lost the race for WAL's locks too often
		return Contention
	case sqliteReadOnly: // also READONLY_DBMOVED: the file was moved away under the connection
		return ReadOnly
	case sqliteSchema:
		return StalePlan
	case sqliteConstraint, sqliteMismatch, sqliteTooBig:
		return Constraint
	case sqliteError:
		return ofSQLiteText(text)
	}
	return Other // among them FULL, IOERR, CORRUPT, NOTADB, CANTOPEN: another attempt ends the same way
}

// ofSQLiteText is the one place where a text decides: for SQLite a missing table is an error like any other in the
// statement, with the code SQLITE_ERROR and nothing else. Its messages are in English always; these are in build.c,
// resolve.c, insert.c and update.c of its source.
func ofSQLiteText(text string) Kind {
	switch {
	case strings.Contains(text, "no such table: "), strings.Contains(text, "unknown database "):
		return NoTable
	case strings.Contains(text, "no such column: "), strings.Contains(text, " has no column named "):
		return NoColumn
	}
	return Other
}

// sqliteCode is the extended code if there is one, and the text that goes with it.
func sqliteCode(err error) (code int, text string, ok bool) {
	var e interface { // modernc.org/sqlite
		error
		Code() int
	}
	if errors.As(err, &e) {
		return e.Code(), e.Error(), true
	}
	for ; err != nil; err = errors.Unwrap(err) {
		if code, ok := cgoSQLiteCode(err); ok {
			return code, err.Error(), true
		}
	}
	return 0, "", false
}

// cgoSQLiteCode reads the code from a sqlite3.Error of github.com/mattn/go-sqlite3, or of one of its descendants: a
// struct that nothing here may link, for it needs a C compiler.
func cgoSQLiteCode(err error) (int, bool) {
	v := reflect.ValueOf(err)
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct {
		return 0, false
	}
	code, extended := v.FieldByName("Code"), v.FieldByName("ExtendedCode")
	if !code.IsValid() || !code.CanInt() || !extended.IsValid() || !extended.CanInt() {
		return 0, false
	}
	if extended.Int() != 0 {
		return int(extended.Int()), true
	}
	return int(code.Int()), true
}

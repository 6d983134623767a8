package typedstore

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/internal/fault"
)

// Constraint is what a value violated.
type Constraint string

// The constraints.
const (
	Unique     Constraint = "unique"
	ForeignKey Constraint = "foreign key"
	Check      Constraint = "check"
	NotNull    Constraint = "not null"
	Length     Constraint = "length"
	Value      Constraint = "value" // out of the type's range, or none of its values, such as an enum's
)

// ConstraintError means that the database refused a value: nothing was written, and other calls are not touched by it.
type ConstraintError struct {
	Constraint Constraint
	// Column is "" where the database doesn't tell: PostgreSQL doesn't for a value that is too long or no value of the type, SQLite not for a foreign key.
	Column string
	// Name is that of the constraint or index, or "".
	Name string

	err error
}

// Error names the column, and never a value, though what the database says may hold one.
func (e *ConstraintError) Error() string {
	text := "entsession: the database refused a value"
	if e.Column != "" {
		text = fmt.Sprintf("entsession: column %q: the database refused its value", e.Column)
	}
	text += ": " + string(e.Constraint) + " violated"
	if e.Name != "" {
		text += fmt.Sprintf(" (%s)", e.Name)
	}
	return text
}

// Unwrap gives what the store returned, which may hold the value.
func (e *ConstraintError) Unwrap() error { return e.err }

// As makes it an *entsession.ColumnError too, if the column is known.
func (e *ConstraintError) As(target any) bool {
	column, ok := target.(**entsession.ColumnError)
	if ok = ok && e.Column != ""; ok {
		*column = &entsession.ColumnError{Column: e.Column, Reason: "the database refused its value: " + string(e.Constraint) + " violated"}
	}
	return ok
}

// refused makes a ConstraintError of an error that is one, and leaves any other alone.
func (s *Schema) refused(err error) error {
	kind := fault.Of(err)
	if kind != fault.Duplicate && kind != fault.Constraint && kind != fault.Charset {
		return err
	}
	e := violation(err)
	if e == nil {
		return err
	}
	if e.Column == "" && e.Name != "" {
		e.Column = s.Constraints[e.Name]
	}
	if e.Column == "" && e.Constraint == ForeignKey && len(s.References) == 1 {
		e.Column = s.References[0]
	}
	if !s.has(e.Column) {
		e.Column = "" // not one of ours: such as the columns of an index over several
	}
	e.err = err
	return e
}

func (s *Schema) has(column string) bool {
	for _, f := range s.Fields {
		if f.Column == column {
			return true
		}
	}
	return false
}

// violation reads what the database tells. What was violated goes by its codes; names are only in its messages, except PostgreSQL's, whose
// messages may be in any language.
func violation(err error) *ConstraintError {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		what, ok := postgresCodes[pg.Code]
		if !ok {
			return nil
		}
		return &ConstraintError{Constraint: what, Column: pg.ColumnName, Name: pg.ConstraintName}
	}
	code := fault.Code(err)
	what, ok := otherCodes[code]
	if !ok {
		return nil
	}
	e := &ConstraintError{Constraint: what}
	text := innermost(err).Error()
	for _, m := range messages[code[:strings.IndexByte(code, ' ')]] {
		if found := m.text.FindStringSubmatch(text); found != nil {
			name := found[1][strings.LastIndexAny(found[1], ".`")+1:]
			if m.column {
				e.Column = name
			} else {
				e.Name = name
			}
			break
		}
	}
	return e
}

func innermost(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}

// postgresCodes: PostgreSQL's manual, appendix A.
var postgresCodes = map[string]Constraint{
	"23505": Unique, "23P01": Unique, // exclusion_violation
	"23503": ForeignKey, "23001": ForeignKey,
	"23514": Check, "23502": NotNull,
	"22001": Length,
	"22003": Value, "22007": Value, "22008": Value, "22P02": Value, "22021": Value, "22P05": Value,
}

// otherCodes: see the codes in internal/fault. SQLite's extended ones: sqlite.org/rescode.html.
var otherCodes = map[string]Constraint{
	"error 1022": Unique, "error 1062": Unique, "error 1169": Unique, "error 1586": Unique, "error 1859": Unique,
	"error 1216": ForeignKey, "error 1452": ForeignKey,
	"error 3819": Check, "error 4025": Check,
	"error 1048": NotNull, "error 1364": NotNull,
	"error 1406": Length,
	"error 1264": Value, "error 1265": Value, "error 1292": Value, "error 1366": Value,

	"SQLite code 2067": Unique, "SQLite code 1555": Unique,
	"SQLite code 787":  ForeignKey,
	"SQLite code 275":  Check,
	"SQLite code 1299": NotNull,
	"SQLite code 18":   Length,
	"SQLite code 3091": Value, "SQLite code 20": Value, // a STRICT table's, SQLITE_MISMATCH
}

type message struct {
	text   *regexp.Regexp
	column bool // it names the column, else the constraint
}

// messages are the ends of MySQL's (and MariaDB's) and SQLite's messages: their beginnings may hold a value.
var messages = map[string][]message{
	"error": {
		{regexp.MustCompile(`for key '([^']+)'$`), false},
		{regexp.MustCompile("CONSTRAINT `([^`]+)` FOREIGN KEY "), false},
		{regexp.MustCompile("CONSTRAINT `([^`]+)` failed for [^ ]+$"), false},
		{regexp.MustCompile(`Check constraint '([^']+)' is violated\.?$`), false},
		{regexp.MustCompile("for column [`']?([^' ]+?)[`']? at row [0-9]+$"), true},
		{regexp.MustCompile(`Column '([^']+)' cannot be null$`), true},
		{regexp.MustCompile(`Field '([^']+)' doesn't have a default value$`), true},
	},
	"SQLite": {
		{regexp.MustCompile(`(?:UNIQUE|NOT NULL) constraint failed: [^ ,]+\.([^ ,.]+)(?: \([0-9]+\))?$`), true},
		{regexp.MustCompile(`UNIQUE constraint failed: index '([^']+)'`), false},
		{regexp.MustCompile(`CHECK constraint failed: ([^ ]+)(?: \([0-9]+\))?$`), false},
	},
}

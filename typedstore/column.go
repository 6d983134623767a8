package typedstore

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"time"

	"entgo.io/ent/schema/field"

	"github.com/entsession/entsession"
)

// Column is a value for one of a schema's columns, checked and converted to what the database gets. The zero Column sets nothing.
type Column struct {
	field *Field
	value driver.Value
	null  bool
	err   error // why it can't be written
}

func (c Column) column() Column { return c }

// Untyped is the column for entsession.Config.ColumnsFunc and for what takes an entsession.Column, or a *ValidationError.
func (c Column) Untyped() (entsession.Column, error) {
	switch {
	case c.field == nil:
		return entsession.Column{}, &entsession.ColumnError{Reason: "the column is empty"}
	case c.err != nil:
		return entsession.Column{}, &ValidationError{c.field, c.err}
	}
	return entsession.Set(c.field.Column, c.value), nil
}

// Set makes a Column of a field's value. The first of the checks that is an error refuses it when it comes to a store.
func Set(f *Field, v any, checks ...error) Column {
	if err := first(checks); err != nil {
		return Column{field: f, err: err}
	}
	return converted(f, v)
}

// SetScanned makes a Column of the value of a field with a ValueScanner of its own.
func SetScanned[T any](f *Field, scanner field.TypeValueScanner[T], v T, checks ...error) Column {
	if err := first(checks); err != nil {
		return Column{field: f, err: err}
	}
	if scanner == nil {
		return Column{field: f, err: errUninitialized}
	}
	value, err := value(scanner, v)
	if err != nil {
		return Column{field: f, err: err}
	}
	return converted(f, value)
}

// value is the scanner's, which may not expect a nil pointer.
func value[T any](scanner field.TypeValueScanner[T], v T) (out driver.Value, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the field's ValueScanner panicked: %v", p)
		}
	}()
	return scanner.Value(v)
}

// Clear makes a Column that is NULL.
func Clear(f *Field) Column { return Column{field: f, null: true} }

// converted is what database/sql would hand to the driver: an int64, float64, bool, string, []byte, time.Time or nil. A batch writes each of
// them as a lone statement does, and what a session holds after a write reads like what was loaded.
func converted(f *Field, v any) Column {
	if f.JSON {
		text, err := json.Marshal(v)
		// A string: MySQL takes bytes for something other than JSON.
		return Column{field: f, value: string(text), err: err}
	}
	value, err := driver.DefaultParameterConverter.ConvertValue(v)
	if t, ok := value.(time.Time); ok {
		value = t.Round(0) // without the monotonic clock, which no database keeps
	}
	return Column{field: f, value: value, null: value == nil, err: err}
}

// Default makes a Column of a schema's default function, which ent sets when the program starts.
func Default[T any](f *Field, value func() T, set func(T) Column) Column {
	if value == nil {
		return Column{field: f, err: errUninitialized}
	}
	return set(value())
}

// Validate calls a validator of the schema.
func Validate[T any](validator func(T) error, v T) error {
	if validator == nil {
		return errUninitialized
	}
	return validator(v)
}

func first(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

package typedstore

import (
	"fmt"

	"github.com/entsession/entsession"
)

// ValidationError means that a column's value was refused before anything was sent: by a validator of the schema, because it can't be
// converted, because the column is immutable, or because a required one is missing. It is an *entsession.ColumnError too.
type ValidationError struct {
	field *Field
	err   error
}

// Field is the name of the schema's field or, of a column that only an edge has, of the edge.
func (e *ValidationError) Field() string { return e.field.Name }

// Column is the name of the field's column.
func (e *ValidationError) Column() string { return e.field.Column }

// Error says what the validator said; of a sensitive field, only that it refused: what it says may hold the value.
func (e *ValidationError) Error() string {
	return fmt.Sprintf("entsession: %s.%s: %s", e.field.Schema, e.field.Name, e.reason())
}

func (e *ValidationError) reason() string {
	if _, plain := e.err.(reason); e.field.Sensitive && !plain {
		return "the value of a sensitive field was refused"
	}
	return e.err.Error()
}

// Unwrap gives an *entsession.ColumnError and, unless the field is sensitive, what the validator returned.
func (e *ValidationError) Unwrap() []error {
	column := &entsession.ColumnError{Column: e.field.Column, Reason: e.reason()}
	if e.field.Sensitive {
		return []error{column}
	}
	return []error{column, e.err}
}

// reason is what this package finds wrong. It holds no value.
type reason string

func (r reason) Error() string { return string(r) }

const (
	errRequired      reason = "a value is required"
	errImmutable     reason = "the field is immutable: it is set on Create only"
	errUninitialized reason = "the schema's defaults and validators are not set: import the runtime package of the generated code, as ent asks for schemas with hooks or policies"
)

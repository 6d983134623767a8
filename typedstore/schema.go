package typedstore

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/entsession/entsession"
)

// Schema is what generated code tells of an ent schema.
type Schema struct {
	// Name is the schema's, such as Session.
	Name string
	// Table is its table.
	Table string
	// Fields are its extra columns: those of the application.
	Fields []Defaults
	// Constraints are the columns of the table's named constraints and unique indexes.
	Constraints map[string]string
	// References are the columns with a foreign key.
	References []string
}

// Field is one of the application's columns.
type Field struct {
	Schema string // the schema's name
	Name   string // the field's or, of a column that only an edge has, the edge's
	Column string
	// Required lists the dialects whose tables have no value for the column by themselves.
	Required []string
	// Immutable columns are set on Create only.
	Immutable bool
	// Sensitive columns' values are in no error.
	Sensitive bool
	// JSON columns hold what encoding/json makes of the value.
	JSON bool
}

// Defaults are a Field with the schema's defaults, as functions because ent sets them when the program starts. Nil: none.
type Defaults struct {
	*Field
	OnCreate func() Column
	OnUpdate func() Column
}

// Setter is implemented by the Column type of each generated package: a struct around a Column, so that one schema's columns can't be given to
// the store of another.
type Setter interface{ column() Column }

// created are the columns of a Create: those given and, of the others, those that the context doesn't bring (Config.ColumnsFunc), the schema's
// defaults. It is an error if one is missing.
func (s *Schema) created(ctx context.Context, store *entsession.Store, given []Column) ([]entsession.Column, error) {
	brought := sync.OnceValue(func() []entsession.Column { return store.ContextColumns(ctx) })
	all := slices.Clone(given)
	for _, f := range s.Fields {
		required := slices.Contains(f.Required, store.Dialect())
		if f.OnCreate == nil && !required || names(given, f.Field) || brings(brought(), f.Field) {
			continue
		}
		if f.OnCreate == nil {
			return nil, &ValidationError{f.Field, errRequired}
		}
		all = append(all, f.OnCreate())
	}
	return s.columns(all, false)
}

// updated are the columns of a Save: those given and, of the others, the schema's defaults for updates.
func (s *Schema) updated(ctx context.Context, store *entsession.Store, given []Column) ([]entsession.Column, error) {
	brought := sync.OnceValue(func() []entsession.Column { return store.ContextColumns(ctx) })
	all := slices.Clone(given)
	for _, f := range s.Fields {
		if f.OnUpdate != nil && !names(given, f.Field) && !brings(brought(), f.Field) {
			all = append(all, f.OnUpdate())
		}
	}
	return s.columns(all, true)
}

func (s *Schema) columns(all []Column, update bool) ([]entsession.Column, error) {
	out := make([]entsession.Column, 0, len(all))
	for _, c := range all {
		switch {
		case c.field == nil:
			continue
		case c.err != nil:
			return nil, &ValidationError{c.field, c.err}
		case update && c.field.Immutable:
			return nil, &ValidationError{c.field, errImmutable}
		case c.null && len(c.field.Required) > 0:
			return nil, &ValidationError{c.field, errRequired}
		}
		out = append(out, entsession.Set(c.field.Column, c.value))
	}
	return out, nil
}

func names(columns []Column, f *Field) bool {
	return slices.ContainsFunc(columns, func(c Column) bool { return c.field != nil && c.field.Column == f.Column })
}

func brings(columns []entsession.Column, f *Field) bool {
	return slices.ContainsFunc(columns, func(c entsession.Column) bool { return c.Name() == f.Column })
}

// fits tells whether a store's table is the schema's. The database schema, before the dot, is the application's choice.
func (s *Schema) fits(table string) bool {
	return table[strings.LastIndexByte(table, '.')+1:] == s.Table
}

package typedstore

import (
	"database/sql"
	"fmt"
	"reflect"
	"time"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/internal/stmt"
)

// Scan fills an entity of the application's from a session, the way ent does it from a row: scanValues and assignValues are the methods
// that ent generates. Of the store's own columns the entity gets all but the payload, which stays with the session.
func Scan(s *entsession.Store, sess *entsession.Session, scanValues func([]string) ([]any, error), assignValues func([]string, []any) error) error {
	extra := sess.Columns()
	columns, values := make([]string, 0, 5+len(extra)), make([]any, 0, 5+len(extra))
	columns = append(columns, stmt.ID, stmt.Timeout, stmt.Version, stmt.Created, stmt.Application)
	values = append(values, sess.Key(), sess.Expires().Unix(), sess.Version(), int64(0), s.Application())
	if at := sess.Created(); !at.IsZero() {
		values[3] = at.Unix()
	}
	for _, c := range extra {
		columns, values = append(columns, c.Name()), append(values, c.Value())
	}
	into, err := scanValues(columns)
	if err != nil {
		return err
	}
	for i, v := range values {
		if err := scan(into[i], v); err != nil {
			// Not what database/sql says: it quotes the value.
			return &entsession.ColumnError{Column: columns[i], Reason: fmt.Sprintf("holds a %T that its field can't take", v)}
		}
	}
	if err := assignValues(columns, into); err != nil {
		return fmt.Errorf("entsession: reading a session's columns: %w", err)
	}
	return nil
}

// scan is what database/sql's Rows.Scan does for the destinations that ent makes.
func scan(into, v any) error {
	if same(into, v) {
		return nil
	}
	switch into := into.(type) {
	case sql.Scanner:
		return into.Scan(v)
	case *[]byte:
		switch v := v.(type) {
		case string:
			*into = []byte(v)
			return nil
		case []byte:
			*into = v
			return nil
		}
		var b sql.Null[[]byte]
		err := b.Scan(v)
		*into = b.V
		return err
	}
	at := reflect.ValueOf(into)
	if at.Kind() == reflect.Pointer && at.Elem().Kind() == reflect.Interface { // a column that the schema doesn't know: another version of the application may
		at.Elem().Set(reflect.ValueOf(&v).Elem())
		return nil
	}
	// A pointer to a pointer that scans: a field whose Go type is one.
	if at.Kind() != reflect.Pointer || at.Elem().Kind() != reflect.Pointer {
		return fmt.Errorf("can't scan into a %T", into)
	}
	if v == nil {
		at.Elem().SetZero()
		return nil
	}
	fresh := reflect.New(at.Elem().Type().Elem())
	scanner, ok := fresh.Interface().(sql.Scanner)
	if !ok {
		return fmt.Errorf("can't scan into a %T", into)
	}
	if err := scanner.Scan(v); err != nil {
		return err
	}
	at.Elem().Set(fresh)
	return nil
}

// same takes over a value that has the very type of its destination: database/sql would print a number and parse it again.
func same(into, v any) bool {
	switch v := v.(type) {
	case int64:
		if into, ok := into.(*sql.NullInt64); ok {
			*into = sql.NullInt64{Int64: v, Valid: true}
			return true
		}
	case string:
		if into, ok := into.(*sql.NullString); ok {
			*into = sql.NullString{String: v, Valid: true}
			return true
		}
	case float64:
		if into, ok := into.(*sql.NullFloat64); ok {
			*into = sql.NullFloat64{Float64: v, Valid: true}
			return true
		}
	case bool:
		if into, ok := into.(*sql.NullBool); ok {
			*into = sql.NullBool{Bool: v, Valid: true}
			return true
		}
	case time.Time:
		if into, ok := into.(*sql.NullTime); ok {
			*into = sql.NullTime{Time: v, Valid: true}
			return true
		}
	}
	return false
}

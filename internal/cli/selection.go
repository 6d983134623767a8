package cli

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/spf13/cobra"

	"github.com/entsession/entsession/ent/session"
	"github.com/entsession/entsession/internal/stmt"
)

// selection says which sessions a command means: those that fit all of it.
type selection struct {
	subject     string
	where, null []string
	handle      string

	given []string // the flags that were used
}

const selectionHelp = `
Which sessions: those that fit all flags that are given, of the application that is configured.
--where compares with the column's own type: 42 is a number where the column holds numbers, and
true and false are understood where it holds booleans. Columns of times and of bytes can't be
compared. "--where column=" means the empty text; for NULL there is --null.`

type predicate = func(*entsql.Selector)

func (s *selection) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&s.subject, "subject", "", "sessions of this `subject`: the column \"subject\", who is signed in")
	flags.StringArrayVar(&s.where, "where", nil, "sessions with this `column=value`; may be repeated")
	flags.StringArrayVar(&s.null, "null", nil, "sessions whose `column` is NULL; may be repeated")
	flags.StringVar(&s.handle, "handle", "", "the one session with this `handle`, or beginning of one, that list shows")
}

// check finds what is wrong without asking the database.
func (s *selection) check(cmd *cobra.Command) error {
	s.given = nil
	for _, name := range []string{"subject", "where", "null", "handle"} {
		if cmd.Flags().Changed(name) {
			s.given = append(s.given, "--"+name)
		}
	}
	// Most likely a script's empty variable.
	if cmd.Flags().Changed("subject") && s.subject == "" {
		return usage(errors.New("--subject is empty; for sessions without a subject use --null subject, or --where subject="))
	}
	if cmd.Flags().Changed("handle") {
		if err := checkHandle(s.handle); err != nil {
			return usage(err)
		}
	}
	for _, w := range s.where {
		if column, _, ok := strings.Cut(w, "="); !ok || column == "" {
			return usage(fmt.Errorf("--where %s: write column=value", strconv.Quote(w)))
		}
	}
	return nil
}

// predicates turns the selection into what the store understands. It asks for the table's columns, to compare each as what it is.
func (c *connection) predicates(ctx context.Context, s *selection) ([]predicate, error) {
	type condition struct{ flag, column, value string }
	var conditions []condition
	if s.subject != "" {
		conditions = append(conditions, condition{"--subject", session.FieldSubject, s.subject})
	}
	for _, w := range s.where {
		column, value, _ := strings.Cut(w, "=")
		conditions = append(conditions, condition{"--where", column, value})
	}
	if len(conditions)+len(s.null) == 0 {
		return nil, nil
	}
	columns, err := c.columns(ctx)
	if err != nil {
		return nil, err
	}
	var out []predicate
	for _, w := range conditions {
		t, err := c.extra(columns, w.column)
		if err != nil {
			return nil, usage(fmt.Errorf("%s: %w", w.flag, err))
		}
		value, err := c.operand(t, w.value)
		if err != nil {
			return nil, usage(fmt.Errorf("%s: %w", w.flag, err))
		}
		out = append(out, entsql.FieldEQ(w.column, value))
	}
	for _, column := range s.null {
		if _, err := c.extra(columns, column); err != nil {
			return nil, usage(fmt.Errorf("--null: %w", err))
		}
		out = append(out, entsql.FieldIsNull(column))
	}
	return out, nil
}

// extra finds one of the application's columns.
func (c *connection) extra(columns []*sql.ColumnType, name string) (*sql.ColumnType, error) {
	if i := slices.IndexFunc(columns, func(t *sql.ColumnType) bool { return t.Name() == name }); i >= 0 && !stmt.Own(name) {
		return columns[i], nil
	}
	var extras []string
	for _, t := range columns {
		if !stmt.Own(t.Name()) {
			extras = append(extras, t.Name())
		}
	}
	list := strings.Join(extras, ", ")
	switch {
	case name == stmt.Application:
		return nil, errors.New("the application is chosen by --application")
	case name == stmt.ID:
		return nil, errors.New("a session is chosen by --handle: ids are secret")
	case stmt.Own(name):
		return nil, fmt.Errorf("column %q is the store's own; the extra columns are: %s", name, list)
	case len(extras) == 0:
		return nil, fmt.Errorf("table %s has no column %q, and no extra columns at all", c.table, name)
	}
	return nil, fmt.Errorf("table %s has no column %q; its extra columns are: %s", c.table, name, list)
}

// operand is a text as a value of a column's type. Databases would compare a number with text by rules of their own: in
// MySQL every text that is no number equals 0.
func (c *connection) operand(t *sql.ColumnType, text string) (any, error) {
	is := func(kinds ...string) bool {
		declared := strings.ToUpper(t.DatabaseTypeName())
		return slices.ContainsFunc(kinds, func(k string) bool { return strings.Contains(declared, k) })
	}
	wrong := func(what string) error {
		return fmt.Errorf("column %q holds %s, and %q is none", t.Name(), what, text)
	}
	switch {
	case is("BOOL"):
		b, err := strconv.ParseBool(text)
		if err != nil {
			return nil, wrong("true or false")
		}
		return b, nil
	case is("INTERVAL", "POINT"), is("TIME", "DATE", "BYTEA", "BLOB", "BINARY", "BIT", "GEOMETRY", "JSON"):
		return nil, fmt.Errorf("column %q of type %s can't be compared: only text, numbers and booleans can", t.Name(), t.DatabaseTypeName())
	case is("INT", "YEAR"):
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return n, nil
		}
		if n, err := strconv.ParseUint(text, 10, 64); err == nil && is("UNSIGNED") {
			return n, nil
		}
		if b, err := strconv.ParseBool(text); err == nil && is("TINYINT") { // MySQL's boolean
			return b, nil
		}
		return nil, wrong("whole numbers")
	case is("FLOAT", "DOUBLE", "REAL"):
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, wrong("numbers")
		}
		return n, nil
	case is("NUMERIC", "DECIMAL"):
		if _, err := strconv.ParseFloat(text, 64); err != nil {
			return nil, wrong("numbers")
		}
		if c.table.Dialect == dialect.Postgres {
			return text, nil // as exact as it was written
		}
		return strconv.ParseFloat(text, 64)
	}
	return text, nil
}

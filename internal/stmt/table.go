package stmt

import (
	"fmt"
	"slices"
	"strings"

	"entgo.io/ent/dialect"
)

// The store's own columns. Every other column of the table is extra: the application's.
const (
	ID          = "id"
	Data        = "data"
	Timeout     = "timeout"
	Version     = "version"
	Created     = "created"
	Application = "application"
)

var own = []string{ID, Data, Timeout, Version, Created, Application}

// Own tells whether a column is the store's.
func Own(column string) bool { return slices.Contains(own, column) }

// Table is what the store knows of its table. A table of the first three columns only is enough.
type Table struct {
	Dialect      string
	Schema, Name string

	Columns                                []string // all, in the table's order
	Extra                                  []string // those that are not the store's
	HasVersion, HasCreated, HasApplication bool
	Computed                               []string          // those that the database fills in by itself
	Text                                   []string          // those whose type is not binary: a driver may hand them out as bytes
	Types                                  map[string]string // what the driver calls each column's type
	// Waiting are a MySQL table's columns that are unique or refer to another table: a write may wait for someone else's transaction,
	// and would hold up a batch.
	Waiting []string
	// PrimaryID is set for a MySQL table whose primary key is the id.
	PrimaryID bool
	// Arrays is PostgreSQL's name of each column's type, if there are arrays of it that unnest takes apart again.
	Arrays map[string]string
	// UnsignedTimeout is set for a MySQL table whose timeout can't be negative.
	UnsignedTimeout bool
	// PlainIDs is set when ids are stored as they are. MySQL then compares them as bytes whatever the column's collation is:
	// hashes that differ only in case don't occur.
	PlainIDs bool
}

// Policy is what the statements need of the store's configuration. Times are in seconds.
type Policy struct {
	Expiration  int64
	Touch       int64
	MaxLifetime int64 // 0: none
	Grace       int64
}

// Describe fills in what the columns tell.
func (t *Table) Describe(columns []string) error {
	t.Columns, t.Extra = columns, nil
	var missing []string
	for _, c := range []string{ID, Data, Timeout} {
		if !slices.Contains(columns, c) {
			missing = append(missing, c)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("table %s has no column %s: a sessions table has at least id, data and timeout", t, strings.Join(missing, ", "))
	}
	t.HasVersion = slices.Contains(columns, Version)
	t.HasCreated = slices.Contains(columns, Created)
	t.HasApplication = slices.Contains(columns, Application)
	for _, c := range columns {
		if !Own(c) {
			t.Extra = append(t.Extra, c)
		}
	}
	return nil
}

// String is the table's name as a user writes it.
func (t *Table) String() string {
	if t.Schema != "" {
		return t.Schema + "." + t.Name
	}
	return t.Name
}

// Ident is the table's name, quoted.
func (t *Table) Ident() string {
	if t.Schema != "" {
		return Quote(t.Dialect, t.Schema) + "." + Quote(t.Dialect, t.Name)
	}
	return Quote(t.Dialect, t.Name)
}

// Now is the database's current second, rounded down: the one clock. It is stable within a statement (a volatile
// function would bar indexes, and Citus), and unlike now() it moves within a transaction.
func (t *Table) Now() string {
	switch t.Dialect {
	case dialect.Postgres:
		return "floor(date_part('epoch', statement_timestamp()))::bigint" // extract() takes several times as long: its result is numeric
	case dialect.MySQL:
		return "CAST(UNIX_TIMESTAMP() AS SIGNED)" // unsigned as it comes, and then any subtraction below zero fails
	default:
		return "unixepoch()"
	}
}

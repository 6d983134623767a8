// Package stmt renders the statements of a store for one table, once. Start with Table, what is known of the table,
// then Set, the statements made from it.
package stmt

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"entgo.io/ent/dialect"
)

// maxName is PostgreSQL's limit for an identifier in bytes (NAMEDATALEN - 1), the shortest of the databases'.
const maxName = 63

// ParseName splits "table" or "schema.table" and checks both parts.
func ParseName(name string) (schema, table string, err error) {
	table = name
	if before, after, ok := strings.Cut(name, "."); ok {
		schema, table = before, after
		if err := checkName(schema); err != nil {
			return "", "", fmt.Errorf("table %q: schema %w", name, err)
		}
	}
	if err := checkName(table); err != nil {
		return "", "", fmt.Errorf("table %q: %w", name, err)
	}
	return schema, table, nil
}

// checkName takes what every database takes between quotes, and leaves out what ent's builder treats as already quoted.
func checkName(s string) error {
	switch {
	case s == "":
		return fmt.Errorf("name is empty")
	case len(s) > maxName:
		return fmt.Errorf("name has %d bytes: at most %d are allowed", len(s), maxName)
	case !utf8.ValidString(s):
		return fmt.Errorf("name is not valid UTF-8")
	}
	for i, r := range s {
		if r > 0xFFFF { // MySQL takes identifiers from the basic multilingual plane only
			return fmt.Errorf("name has the character %q: use letters, digits and _", r)
		}
		switch {
		case unicode.IsLetter(r), r == '_':
		case i > 0 && (unicode.IsDigit(r) || unicode.IsMark(r) || r == '$' || r == '-'):
		default:
			return fmt.Errorf("name has the character %q at byte %d: use letters, digits and _, beginning with a letter or _, and one dot between schema and table", r, i)
		}
	}
	return nil
}

// Quote quotes an identifier, whatever is in it. SQLite gets backticks: it takes a name between double quotes that is no column
// for a string (sqlite.org/quirks.html), and a column dropped by a migration would read as its own name.
func Quote(d, name string) string {
	if d == dialect.Postgres {
		return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
	}
	return "`" + strings.ReplaceAll(name, "`", "``") + "`"
}

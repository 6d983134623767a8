package stmt

import (
	"strings"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
)

// What the statements that end sessions tell of them, for hooks: the id, and then the extra columns.

// told is the list of columns.
func (s *Set) told() string {
	out := s.q(ID)
	for _, c := range s.Table.Extra {
		out += ", " + s.q(c)
	}
	return out
}

// Telling is a statement of PostgreSQL's or SQLite's that returns the rows it has changed.
func (s *Set) Telling(text string) string { return text + " RETURNING " + s.told() }

// Ended reads rows, dead or alive. Arguments: those returned. Columns: id, extra columns.
func (s *Set) Ended(keys []string) (string, []any) {
	return "SELECT " + s.told() + s.from() + " WHERE " + s.q(ID) + " IN (" + s.marks(len(keys), "?") + ")", anys(keys)
}

// Expiring is Expired with what is to be told. Columns: id, timeout, extra columns.
func (s *Set) Expiring(application string, limit int) (string, []any) {
	text, args := s.Expired(application, limit)
	return strings.Replace(text, "SELECT "+s.q(ID), "SELECT "+s.q(ID)+", "+s.q(Timeout)+strings.TrimPrefix(s.told(), s.q(ID)), 1), args
}

// Revocable is MySQL's, in a transaction: it locks the rows that Revoke would change. Columns: id, extra columns.
func (s *Set) Revocable(application string, where []func(*sql.Selector)) (string, []any, error) {
	if err := s.meant(where); err != nil {
		return "", nil, err
	}
	text, args, err := query(s.selector(application, where).SelectExpr(sql.Raw(s.told())))
	return text + " FOR UPDATE", args, err
}

// Bury is MySQL's, for rows that Revocable has locked. Arguments: those returned.
func (s *Set) Bury(version int64, keys []string) (string, []any) {
	var args []any
	if s.Table.HasVersion {
		args = append(args, version)
	}
	text := s.text(func(b *sql.Builder) { b.WriteString("UPDATE " + s.Table.Ident() + " SET "); s.tombstone(b) }) +
		" WHERE " + s.q(ID) + " IN (" + s.marks(len(keys), "?") + ")"
	args = append(args, anys(keys)...)
	if s.bytewise() {
		text += " AND CAST(" + s.q(ID) + " AS BINARY) IN (" + s.marks(len(keys), "CAST(? AS BINARY)") + ")"
		args = append(args, anys(keys)...)
	}
	return text, args
}

func (s *Set) marks(n int, mark string) string {
	return mark + strings.Repeat(", "+mark, n-1)
}

// deleteTelling is Delete for many, and returns the rows it has changed. It is nil on MySQL and, as it is never used there, on SQLite.
func (s *Set) deleteTelling(m *Many) *Many {
	if s.Table.Dialect != dialect.Postgres {
		return nil
	}
	return one(s.Telling(m.Text(1)))
}

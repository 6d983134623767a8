package stmt

import (
	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
)

// SQLite deletes and adds the index entries of every column that an UPDATE names, also if it stays what it was, and collects what RETURNING gives in a table
// of its own. Most writes leave the timeout alone (see Policy.Touch). So SQLite is first given a statement for just those: it names neither, and is
// for a row that still has the timeout it was loaded with. Where it finds none, the one that renews and answers follows, which alone tells why.

// SaveUnrenewed is Save of a session whose timeout stays as it was loaded. Arguments: those of Save, and that timeout. It answers with how many rows it wrote. ""
// where there is none.
func (s *Set) SaveUnrenewed(columns []string) string {
	if !s.keeps() || s.Policy.Touch == 0 { // then a timeout hardly ever stays
		return ""
	}
	return cached(&s.save, append([]string{"\x00unrenewed"}, columns...), func() string {
		return s.text(func(b *sql.Builder) {
			s.keeping(b, columns, true)
			b.WriteString(" AND " + s.fresh())
		})
	})
}

// LoneSaveUnrenewedArgs appends the arguments of SaveUnrenewed. All but the last are those of Save.
func (s *Set) LoneSaveUnrenewedArgs(args []any, r *Row, application *string) []any {
	return append(s.LoneSaveArgs(args, r, application), &r.Timeout)
}

// UpdateUnrenewed is to Update what SaveUnrenewed is to Save. Arguments: UpdateUnrenewedArgs.
func (c Commits) UpdateUnrenewed(columns []string, guarded bool) string {
	s, kind := c.set, "commit unrenewed"
	if guarded {
		kind = "guarded commit unrenewed"
	}
	if !s.keeps() {
		return ""
	}
	return c.cached(kind, columns, func(b *sql.Builder) {
		s.keeping(b, columns, guarded)
		b.WriteString(" AND ")
		s.within(b)
	})
}

// UpdateUnrenewedArgs appends the arguments of UpdateUnrenewed.
func (c Commits) UpdateUnrenewedArgs(args []any, r *Row, l Lifetime, guarded bool, application *string) []any {
	args = append(args, &r.Text, &r.Version)
	args = c.set.Key(append(args, r.Values...), &r.Key, application)
	if guarded {
		args = append(args, &r.Guard)
	}
	args = append(args, &r.Timeout)
	return l.args(args)[:len(args)+2]
}

// keeps tells whether there are such statements. Without a version nothing tells, where a row was written that was not counted (of a view), that it was.
func (s *Set) keeps() bool { return s.Table.Dialect == dialect.SQLite && s.Table.HasVersion }

// keeping writes data, version and columns of a live session that has the timeout given.
func (s *Set) keeping(b *sql.Builder, columns []string, guarded bool) {
	b.WriteString("UPDATE " + s.Table.Ident() + " SET " + s.q(Data) + " = ").Arg(placeholder)
	b.WriteString(", " + s.q(Version) + " = ").Arg(placeholder)
	for _, c := range columns {
		b.WriteString(", " + s.q(c) + " = ").Arg(placeholder)
	}
	s.whereLive(b)
	if guarded {
		b.WriteString(" AND ")
		s.guard(b)
	}
	b.WriteString(" AND " + s.q(Timeout) + " = ").Arg(placeholder)
}

package stmt

import (
	"strings"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
)

// The statements of the adapters. A session manager decides itself how long a session lives and, some of them, under which id. What it
// hands over is never an upsert: a row that is known to have been there is updated as long as it is live, any other is inserted and meets no one.

// Commits are the statements of a table for adapters, made with the set that they belong to.
type Commits struct{ set *Set }

// Commits of the table.
func (s *Set) Commits() Commits { return Commits{s} }

// Lifetime is how long a session is to live from now on, in seconds.
type Lifetime struct {
	Seconds int64
	Slack   int64 // an expiry that is earlier by less than this is left as it is
}

// Over is how long a session that is given n seconds lives: never less than those, less the touch interval or a tenth, whichever is
// less. So a manager's expiry is never exceeded by more than the second it is rounded to.
func (s *Set) Over(n int64) Lifetime {
	return Lifetime{Seconds: n, Slack: min(s.Policy.Touch, n/10)}
}

// args are those of until.
func (l Lifetime) args(args []any) []any {
	return append(args, l.Seconds-l.Slack, l.Seconds+1, l.Seconds)
}

// Update writes a live session, whatever its version is; guarded, only over the version it was loaded with. Arguments: UpdateArgs. It answers
// like Save.
func (c Commits) Update(columns []string, guarded bool) string {
	s, t := c.set, c.set.Table
	kind := "commit"
	if guarded {
		kind = "guarded commit"
	}
	return c.cached(kind, columns, func(b *sql.Builder) {
		b.WriteString("UPDATE " + t.Ident() + " SET " + s.q(Data) + " = ").Arg(placeholder)
		if t.HasVersion {
			b.WriteString(", " + s.q(Version) + " = ").Arg(placeholder)
		}
		for _, name := range columns {
			b.WriteString(", " + s.q(name) + " = ").Arg(placeholder)
		}
		b.WriteString(", " + s.q(Timeout) + " = ")
		before, after, _ := strings.Cut(s.answer("\x00"), "\x00")
		b.WriteString(before)
		s.until(b)
		b.WriteString(after)
		s.whereLive(b)
		if guarded {
			b.WriteString(" AND ")
			s.guard(b)
		}
		b.WriteString(s.returning())
	})
}

// UpdateArgs appends the arguments of Update.
func (c Commits) UpdateArgs(args []any, r *Row, l Lifetime, guarded bool, application *string) []any {
	args = append(args, &r.Text)
	if c.set.Table.HasVersion {
		args = append(args, &r.Version)
	}
	args = c.set.Key(l.args(append(args, r.Values...)), &r.Key, application)
	switch {
	case !guarded:
		return args
	case c.set.Table.HasVersion:
		return append(args, &r.Guard)
	}
	return append(args, r.Stored)
}

// Insert adds a row. If there is one with this id, whatever it is, PostgreSQL and SQLite answer nothing, and MySQL with an error. Arguments:
// InsertArgs. It answers like Save.
func (c Commits) Insert(columns []string) string {
	s, t := c.set, c.set.Table
	return c.cached("commit new", columns, func(b *sql.Builder) {
		names := []string{s.q(ID), s.q(Data)}
		if t.HasVersion {
			names = append(names, s.q(Version))
		}
		if t.HasApplication {
			names = append(names, s.q(Application))
		}
		for _, name := range columns {
			names = append(names, s.q(name))
		}
		b.WriteString("INSERT INTO " + t.Ident() + " (" + strings.Join(names, ", ") + ", " + s.q(Timeout))
		if t.HasCreated {
			b.WriteString(", " + s.q(Created))
		}
		b.WriteString(") VALUES (")
		for range names {
			b.Arg(placeholder).Comma()
		}
		before, after, _ := strings.Cut(s.answer(t.Now()+" + \x00"), "\x00")
		b.WriteString(before).Arg(placeholder).WriteString(after)
		if t.HasCreated {
			b.WriteString(", " + t.Now())
		}
		b.WriteString(")")
		if t.Dialect != dialect.MySQL {
			b.WriteString(" ON CONFLICT (" + s.q(ID) + ") DO NOTHING" + s.returning())
		}
	})
}

// InsertArgs appends the arguments of Insert.
func (c Commits) InsertArgs(args []any, r *Row, l Lifetime, application *string) []any {
	args = c.set.LoneInsertArgs(args, r, application)
	n := l.Seconds
	if m := c.set.Policy.MaxLifetime; m > 0 && c.set.Table.HasCreated {
		n = min(n, m)
	}
	return append(args, n)
}

// Due is what Set.Check is, for a lifetime of the manager's. Arguments: DueArgs.
func (c Commits) Due() string {
	s := c.set
	return c.cached("commit due", nil, func(b *sql.Builder) {
		b.WriteString("SELECT CASE WHEN ")
		s.within(b)
		b.WriteString(" THEN 0 ELSE 1 END, " + s.q(Timeout))
		if s.Table.HasVersion {
			b.WriteString(", " + s.q(Version))
		}
		b.WriteString(s.from())
		s.whereLive(b)
	})
}

// DueArgs appends the arguments of Due.
func (c Commits) DueArgs(args []any, key *string, l Lifetime, application *string) []any {
	return c.set.Key(l.args(args)[:len(args)+2], key, application)
}

// There tells whether there is a row with this id, dead or alive, and whosever it is. Arguments: id.
func (c Commits) There() string {
	s := c.set
	return s.text(func(b *sql.Builder) {
		b.WriteString("SELECT COUNT(*)" + s.from() + " WHERE " + s.q(ID) + " = ").Arg(placeholder)
	})
}

// cached renders a statement once for each set of columns. No column has a name that begins like that.
func (c Commits) cached(kind string, columns []string, render func(*sql.Builder)) string {
	return cached(&c.set.save, append([]string{"\x00" + kind}, columns...), func() string { return c.set.text(render) })
}

// until is the timeout of a session that lives for so long from now on: as it is, if that is about it.
func (s *Set) until(b *sql.Builder) {
	b.WriteString("CASE WHEN ")
	s.within(b)
	b.WriteString(" THEN " + s.q(Timeout) + " ELSE ")
	s.ahead(b)
	b.WriteString(" END")
}

func (s *Set) within(b *sql.Builder) {
	b.WriteString(s.q(Timeout) + " >= ")
	s.ahead(b)
	b.WriteString(" AND " + s.q(Timeout) + " <= ")
	s.ahead(b)
}

// ahead is an argument's seconds from now, within the absolute lifetime.
func (s *Set) ahead(b *sql.Builder) {
	before, after, _ := strings.Cut(s.capped(s.Table.Now()+" + \x00"), "\x00")
	b.WriteString(before).Arg(placeholder).WriteString(after)
}

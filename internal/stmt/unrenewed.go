package stmt

import (
	"time"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
)

// Most writes leave the timeout alone (see Policy.Touch), and need not be told what it is then. Where it is likely to stay, a statement for just that goes first:
// it does not name the timeout, has no answer but how many rows it wrote, and is for a row that still has the timeout it was loaded with. Where it finds none,
// the caller looks at the session, as for any write that changed nothing, and if that is still what it was, the statement that renews and answers follows.
//
// SQLite deletes and adds the index entries of every column that an UPDATE names, also if it stays what it was. Both SQLite and PostgreSQL collect what RETURNING gives
// in a table of its own (PORTAL_ONE_RETURNING in PostgreSQL's src/backend/tcop/pquery.c), and PostgreSQL makes every function of a statement ready at each execution:
// together a sixth of what a save takes of its processors. On MySQL there is nothing to be had.

// SaveUnrenewed is Save of a session whose timeout stays as it was loaded. Arguments: those of Save, and that timeout. It answers with how many rows it wrote. ""
// where there is none.
func (s *Set) SaveUnrenewed(columns []string) string {
	if len(columns) == 0 || s.unrenewed == "" {
		return s.unrenewed
	}
	return cached(&s.save, append([]string{"\x00unrenewed"}, columns...), func() string { return s.savingUnrenewed(columns, "") })
}

func (s *Set) savingUnrenewed(columns []string, condition string) string {
	if !s.keeps() || s.Policy.Touch == 0 { // then a timeout hardly ever stays
		return ""
	}
	return s.text(func(b *sql.Builder) {
		s.keeping(b, columns)
		if s.target() != s.uncapped() { // else what has so much time left is live
			b.WriteString(" AND " + s.unindexed(s.live()))
		}
		b.WriteString(" AND ")
		s.guard(b)
		before, after := s.around()
		b.WriteString(" AND " + before + s.q(Timeout) + " = ").Arg(placeholder).WriteString(after)
		b.WriteString(" AND " + s.unindexed(s.fresh()) + condition)
	})
}

// Staying is a session's timeout if it is likely to stay in a Save, by this machine's clock; else 0. The database's decides: here it is only about which statement
// goes first.
func (s *Set) Staying(timeout, created int64) int64 {
	if s.unrenewed == "" {
		return 0
	}
	return s.staying(timeout, created, time.Now().Unix()+s.Policy.Expiration)
}

// Staying is Set's for a lifetime of the manager's.
func (c Commits) Staying(timeout, created int64, l Lifetime) int64 {
	if l.Slack == 0 || !c.set.keeps() {
		return 0
	}
	now := time.Now().Unix()
	if timeout > now+l.Seconds+1 { // it was to live longer
		return 0
	}
	return c.set.staying(timeout, created, now+l.Seconds-l.Slack)
}

func (s *Set) staying(timeout, created, target int64) int64 {
	if s.Policy.MaxLifetime > 0 && s.Table.HasCreated {
		target = min(target, created+s.Policy.MaxLifetime)
	}
	if timeout < target {
		return 0
	}
	return timeout
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
		s.keeping(b, columns)
		b.WriteString(" AND " + s.unindexed(s.live()))
		if guarded {
			b.WriteString(" AND ")
			s.guard(b)
		}
		before, after := s.around()
		b.WriteString(" AND " + before + s.q(Timeout) + " = ").Arg(placeholder).WriteString(after + " AND " + before)
		s.within(b)
		b.WriteString(after)
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
func (s *Set) keeps() bool {
	t := s.Table
	return t.HasVersion && (t.Dialect == dialect.SQLite || t.Dialect == dialect.Postgres && t.Types[Version] == "INT8" && t.Types[Timeout] == "INT8")
}

// keeping writes data, version and columns of a session.
func (s *Set) keeping(b *sql.Builder, columns []string) {
	b.WriteString("UPDATE " + s.Table.Ident() + " SET " + s.q(Data) + " = ").Arg(placeholder)
	b.WriteString(", " + s.q(Version) + " = ").Arg(placeholder)
	for _, c := range columns {
		b.WriteString(", " + s.q(c) + " = ").Arg(placeholder)
	}
	s.whereMine(b)
}

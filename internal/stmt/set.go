package stmt

import (
	"slices"
	"strconv"
	"strings"
	"sync"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
)

// Set is the statements of a table, rendered once. The comment on each gives its arguments in order; [in brackets] those
// that are there only when the table has the column.
type Set struct {
	Table  *Table
	Policy Policy

	// Load reads a live session. Arguments: id [application]. Columns: data, timeout [version] [created], extra columns.
	Load string
	// Fetch reads a session, live or not, for Judged to tell. Argument: id. Columns: the time, application, then those of Load. It is for a
	// driver that gives a time in binary, whatever the settings; "": for none.
	Fetch string
	// Lock is Load with the row locked until the transaction ends. SQLite locks with Hold, before it.
	Lock string
	// Hold takes SQLite's write lock without a change. Arguments: id.
	Hold string
	// Check tells whether a live session's renewal is due, and what a guarded write that changed nothing met. Arguments: id [application].
	// Columns: 1 or 0, timeout [version].
	Check string
	// SaveFirst is Save without extra columns for the first of several statements in one transaction: none of them waits longer than patience for a row. It
	// is PostgreSQL's.
	SaveFirst string
	// Touch renews a live session. Arguments: id [application].
	Touch string
	// Delete makes a live session a tombstone. Arguments: [version] id [application].
	Delete string

	unrenewed string // SaveUnrenewed without extra columns
	// SaveUnrenewedFirst is to SaveUnrenewed what SaveFirst is to Save.
	SaveUnrenewedFirst string

	insert, save sync.Map // set of extra columns -> string
}

// New renders the statements.
func New(t *Table, p Policy) *Set {
	s := &Set{Table: t, Policy: p}
	columns := s.columns()
	s.Load = s.text(func(b *sql.Builder) { b.WriteString("SELECT " + columns + s.from()); s.whereLive(b) })
	s.Fetch = s.fetch(columns)
	if t.Dialect == dialect.Postgres && t.Types[Version] == "INT8" { // as connections send it
		s.SaveFirst, s.SaveUnrenewedFirst = s.saving(nil, " AND "+Patience), s.savingUnrenewed(nil, " AND "+Patience)
	}
	s.unrenewed = s.savingUnrenewed(nil, "")
	s.Lock = s.Load
	if t.Dialect != dialect.SQLite {
		s.Lock += " FOR UPDATE"
	}
	s.Hold = s.text(func(b *sql.Builder) {
		b.WriteString("UPDATE " + t.Ident() + " SET " + s.q(Timeout) + " = " + s.q(Timeout) + " WHERE " + s.q(ID) + " = ")
		b.Arg(placeholder)
	})
	s.Check = s.text(func(b *sql.Builder) {
		b.WriteString("SELECT " + s.state() + s.from())
		s.whereLive(b)
	})
	s.Touch = s.text(func(b *sql.Builder) {
		b.WriteString("UPDATE " + t.Ident() + " SET " + s.q(Timeout) + " = " + s.renewed())
		s.whereLive(b)
	})
	s.Delete = s.text(func(b *sql.Builder) {
		b.WriteString("UPDATE " + t.Ident() + " SET ")
		s.tombstone(b)
		s.whereLive(b)
	})
	return s
}

// Insert adds a row. Arguments: id, data [version] [application], the columns' values. It answers like Save. A new row
// is given Lifetime seconds.
func (s *Set) Insert(columns []string) string {
	return cached(&s.insert, columns, func() string {
		return s.text(func(b *sql.Builder) {
			t := s.Table
			b.WriteString("INSERT INTO " + t.Ident() + " (" + s.q(ID) + ", " + s.q(Data) + ", " + s.q(Timeout))
			if t.HasVersion {
				b.WriteString(", " + s.q(Version))
			}
			if t.HasCreated {
				b.WriteString(", " + s.q(Created))
			}
			if t.HasApplication {
				b.WriteString(", " + s.q(Application))
			}
			for _, c := range columns {
				b.WriteString(", " + s.q(c))
			}
			b.WriteString(") VALUES (")
			b.Arg(placeholder).Comma().Arg(placeholder).Comma()
			b.WriteString(s.answer(t.Now() + " + " + itoa(s.Lifetime())))
			if t.HasVersion {
				b.Comma().Arg(placeholder)
			}
			if t.HasCreated {
				b.Comma().WriteString(t.Now())
			}
			if t.HasApplication {
				b.Comma().Arg(placeholder)
			}
			for range columns {
				b.Comma().Arg(placeholder)
			}
			b.WriteString(")" + s.returning())
		})
	})
}

// Save writes a live session that is still what it was when it was loaded. Arguments: data [version], the columns' values,
// id [application], and the guard: the version it was loaded with or, without a version, the data.
// It answers the new timeout: PostgreSQL and SQLite by a row (RETURNING), MySQL by the statement's insert id, which is how
// LAST_INSERT_ID(expr) hands a value back without a second statement.
func (s *Set) Save(columns []string) string {
	return cached(&s.save, columns, func() string { return s.saving(columns, "") })
}

func (s *Set) saving(columns []string, condition string) string {
	return s.text(func(b *sql.Builder) {
		t := s.Table
		b.WriteString("UPDATE " + t.Ident() + " SET " + s.q(Data) + " = ").Arg(placeholder)
		if t.HasVersion {
			b.WriteString(", " + s.q(Version) + " = ").Arg(placeholder)
		}
		for _, c := range columns {
			b.WriteString(", " + s.q(c) + " = ").Arg(placeholder)
		}
		b.WriteString(", " + s.q(Timeout) + " = " + s.answer(s.renewed()))
		s.whereLive(b)
		b.WriteString(" AND ")
		s.guard(b)
		b.WriteString(condition + s.returning())
	})
}

// Copy makes the row of a rotated session from that of the old one, every column the table has at that moment. Arguments:
// new id [version] id [application].
func (s *Set) Copy(columns []string) string {
	return s.text(func(b *sql.Builder) {
		b.WriteString("INSERT INTO " + s.Table.Ident() + " (")
		for i, c := range columns {
			if i > 0 {
				b.Comma()
			}
			b.WriteString(s.q(c))
		}
		b.WriteString(") SELECT ")
		for i, c := range columns {
			if i > 0 {
				b.Comma()
			}
			switch c {
			case ID:
				b.Arg(placeholder)
			case Version:
				b.Arg(placeholder)
				if s.Table.Dialect == dialect.Postgres {
					b.WriteString("::bigint") // a bare parameter in a SELECT list is text
				}
			case Timeout:
				b.WriteString(s.renewed())
			default:
				b.WriteString(s.q(c))
			}
		}
		b.WriteString(s.from())
		s.whereLive(b)
	})
}

// The arguments of a statement for one row are pointers where they can be: a string that goes into an any is copied to the heap.

// LoneSaveArgs appends the arguments of Save.
func (s *Set) LoneSaveArgs(args []any, r *Row, application *string) []any {
	args = append(args, &r.Text)
	if s.Table.HasVersion {
		args = append(args, &r.Version)
	}
	args = s.Key(append(args, r.Values...), &r.Key, application)
	if s.Table.HasVersion {
		return append(args, &r.Guard)
	}
	return append(args, r.Stored)
}

// LoneInsertArgs appends the arguments of Insert.
func (s *Set) LoneInsertArgs(args []any, r *Row, application *string) []any {
	args = append(args, &r.Key, &r.Text)
	if s.Table.HasVersion {
		args = append(args, &r.Version)
	}
	if s.Table.HasApplication {
		args = append(args, application)
	}
	return append(args, r.Values...)
}

// CopyColumns orders a table's columns for Copy: id, version, then the others.
func (t *Table) CopyColumns() []string {
	out := []string{ID}
	if t.HasVersion {
		out = append(out, Version)
	}
	for _, c := range t.Columns {
		if c != ID && c != Version && !slices.Contains(t.Computed, c) {
			out = append(out, c)
		}
	}
	return out
}

// Key appends the arguments that say which row: id [id again] [application].
func (s *Set) Key(args []any, id, application *string) []any {
	args = append(args, id)
	if s.bytewise() {
		args = append(args, id)
	}
	if s.Table.HasApplication {
		args = append(args, application)
	}
	return args
}

func (s *Set) bytewise() bool { return s.Table.PlainIDs && s.Table.Dialect == dialect.MySQL }

// Lifetime is how many seconds a new row is given.
func (s *Set) Lifetime() int64 {
	n := s.Policy.Expiration + s.Policy.Touch
	if m := s.Policy.MaxLifetime; m > 0 {
		n = min(n, m)
	}
	return n
}

func (s *Set) columns() string {
	out := s.q(Data) + ", " + s.q(Timeout)
	if s.Table.HasVersion {
		out += ", " + s.q(Version)
	}
	if s.Table.HasCreated {
		out += ", " + s.q(Created)
	}
	for _, c := range s.Table.Extra {
		out += ", " + s.q(c)
	}
	return out
}

// state is what Check reads.
func (s *Set) state() string {
	out := "CASE WHEN " + s.fresh() + " THEN 0 ELSE 1 END, " + s.q(Timeout)
	if s.Table.HasVersion {
		out += ", " + s.q(Version)
	}
	return out
}

// fresh is the condition that no renewal is due: renewed would leave the timeout as it is.
func (s *Set) fresh() string {
	cond := s.q(Timeout) + " >= " + s.target()
	if capped := s.capped(s.q(Timeout)); capped != s.q(Timeout) {
		cond += " AND " + s.q(Timeout) + " = " + capped // or the absolute lifetime was made shorter since
	}
	return cond
}

func (s *Set) from() string { return " FROM " + s.Table.Ident() }

func (s *Set) q(column string) string { return Quote(s.Table.Dialect, column) }

// live is the condition of every statement but the purge's.
func (s *Set) live() string { return s.q(Timeout) + " >= " + s.Table.Now() }

func (s *Set) whereLive(b *sql.Builder) {
	s.whereMine(b)
	b.WriteString(" AND " + s.unindexed(s.live()))
}

// whereMine is the condition that says which row, of this application's.
func (s *Set) whereMine(b *sql.Builder) {
	b.WriteString(" WHERE " + s.q(ID) + " = ").Arg(placeholder)
	if s.bytewise() {
		// The id again as bytes: a table made by someone else may ignore case. The first comparison finds the row by its index.
		b.WriteString(" AND CAST(" + s.q(ID) + " AS BINARY) = CAST(").Arg(placeholder).WriteString(" AS BINARY)")
	}
	if s.Table.HasApplication {
		before, after := s.around()
		b.WriteString(" AND " + before + s.q(Application) + " = ").Arg(placeholder).WriteString(after)
	}
}

// unindexed is a condition on a column of a row that its id finds, written so that no index but the primary key's is of use. A planner that knows little of a
// table, for it is new or has grown since it was looked at, may take the one on application and timeout to be as good, and read every live session with it.
// On PostgreSQL it then does so for as long as the connection has the statement prepared. MySQL takes the primary key wherever it is given.
func (s *Set) unindexed(condition string) string {
	before, after := s.around()
	return before + condition + after
}

// around is what stands around such a condition.
func (s *Set) around() (before, after string) {
	if s.Table.Dialect == dialect.MySQL {
		return "", ""
	}
	return "(", ") IS TRUE"
}

// guard compares the version or, in a table without one, the data: byte for byte, which on MySQL takes two conversions.
func (s *Set) guard(b *sql.Builder) {
	switch {
	case s.Table.HasVersion:
		b.WriteString(s.q(Version) + " = ").Arg(placeholder)
	case s.Table.Dialect == dialect.Postgres:
		b.WriteString(s.q(Data) + " IS NOT DISTINCT FROM ").Arg(placeholder)
	case s.Table.Dialect == dialect.MySQL:
		b.WriteString("CAST(CONVERT(" + s.q(Data) + " USING utf8mb4) AS BINARY) <=> CAST(").Arg(placeholder).WriteString(" AS BINARY)")
	default:
		b.WriteString(s.q(Data) + " IS ").Arg(placeholder)
	}
}

// target is the timeout below which a renewal is due.
func (s *Set) target() string {
	return s.capped(s.uncapped())
}

func (s *Set) uncapped() string { return s.Table.Now() + " + " + itoa(s.Policy.Expiration) }

// renewed is the timeout after a renewal: as it is while that is far enough ahead, so that PostgreSQL can keep the row's
// index entries (a HOT update), and a touch interval beyond what is promised once it is not.
func (s *Set) renewed() string {
	fresh := s.capped(s.Table.Now() + " + " + itoa(s.Policy.Expiration+s.Policy.Touch))
	return "CASE WHEN " + s.q(Timeout) + " >= " + s.target() + " THEN " + s.capped(s.q(Timeout)) + " ELSE " + fresh + " END"
}

// capped keeps a timeout within the absolute lifetime.
func (s *Set) capped(expr string) string {
	if s.Policy.MaxLifetime <= 0 || !s.Table.HasCreated {
		return expr
	}
	least := "LEAST"
	if s.Table.Dialect == dialect.SQLite {
		least = "MIN"
	}
	return least + "(" + expr + ", " + s.q(Created) + " + " + itoa(s.Policy.MaxLifetime) + ")"
}

// tombstone is what a revocation sets. The timeout becomes minus the second of the revocation: below every clock, whatever
// the clocks do, and yet it tells the purge when the grace is over.
func (s *Set) tombstone(b *sql.Builder) {
	at := "-(" + s.Table.Now() + ")"
	if s.Table.UnsignedTimeout {
		at = "0"
	}
	b.WriteString(s.q(Data) + " = '', " + s.q(Timeout) + " = " + at)
	if s.Table.HasVersion {
		b.WriteString(", " + s.q(Version) + " = ").Arg(placeholder)
	}
}

// expired is the purge's condition: past its timeout, or revoked longer ago than the grace. One range of the index.
func (s *Set) expired(timeout string) string {
	now := s.Table.Now()
	cond := timeout + " < " + now
	if !s.Table.UnsignedTimeout {
		cond += " AND " + timeout + " > " + itoa(s.Policy.Grace) + " - " + now
	}
	return cond
}

func (s *Set) answer(expr string) string {
	if s.Table.Dialect == dialect.MySQL {
		return "LAST_INSERT_ID(" + expr + ")"
	}
	return expr
}

func (s *Set) returning() string {
	if s.Table.Dialect == dialect.MySQL {
		return ""
	}
	return " RETURNING " + s.q(Timeout)
}

func (s *Set) text(f func(*sql.Builder)) string {
	b := &sql.Builder{}
	b.SetDialect(s.Table.Dialect)
	f(b)
	return b.String()
}

func cached(m *sync.Map, columns []string, render func() string) string {
	key := ""
	switch len(columns) {
	case 0:
	case 1:
		key = columns[0]
	default:
		key = strings.Join(columns, "\x00")
	}
	if v, ok := m.Load(key); ok {
		return v.(string)
	}
	v, _ := m.LoadOrStore(key, render())
	return v.(string)
}

// placeholder stands for an argument while a statement is rendered: ent's builder writes nil as NULL.
const placeholder = ""

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

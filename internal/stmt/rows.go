package stmt

import (
	"slices"
	"strconv"
	"strings"

	"entgo.io/ent/dialect"
)

// Row is what a batch writes to one session.
type Row struct {
	Key     string
	Text    string // the payload
	Version int64
	Guard   int64 // the version that a Save requires
	Stored  any   // the guard in a table without a version: the payload as it was
	Timeout int64 // the timeout as it was loaded, if it is likely to stay: see SaveUnrenewed; else 0
	Values  []any // of the extra columns; on PostgreSQL elements of array literals, see Element
}

// SaveMany is Save for many sessions, each with its own guard. Arguments: SaveArgs. PostgreSQL answers with id and timeout of those it
// wrote. MySQL is for rows that Together.Lock has locked, whose guards were compared then. It is nil where a batch can't do what Save does.
func (s *Set) SaveMany(columns []string) *Many {
	t := s.Table
	if !t.HasVersion || !s.takes(columns) {
		return nil
	}
	if t.Dialect == dialect.MySQL {
		return s.saveCases(columns)
	}
	set := s.q(Data) + " = b.b1, " + s.q(Version) + " = b.b2, " + s.q(Timeout) + " = " + s.renewed()
	for i, c := range columns {
		set += ", " + s.q(c) + " = b.b" + strconv.Itoa(4+i)
	}
	where := " WHERE " + s.q(ID) + " = b.b0 AND " + s.unindexed(s.live()) + " AND " + s.q(Version) + " = b.b3"
	if t.HasApplication {
		where += " AND " + s.unindexed(s.q(Application)+" = $"+strconv.Itoa(5+len(columns)))
	}
	return one(s.once("UPDATE " + t.Ident() + " SET " + set + " FROM " + s.unnest(columns, 4) + where + " AND " + Patience +
		" RETURNING " + s.q(ID) + ", " + s.q(Timeout)))
}

// saveCases writes each column as a CASE of the id: of what MySQL and MariaDB have, it is the quickest (a join with a derived table takes
// twice the time). The renewal is given the second in which the rows were locked, so that it comes to what was read then.
func (s *Set) saveCases(columns []string) *Many {
	m := &Many{}
	before := "UPDATE " + s.byPrimary() + " SET "
	for _, c := range append([]string{Data, Version}, columns...) {
		m.pieces = append(m.pieces, piece{first: before + s.q(c) + " = CASE " + s.q(ID)}, piece{" WHEN ? THEN ?", " WHEN ? THEN ?"})
		before = " END, "
	}
	renewed := s.renewed()
	m.clocks = strings.Count(renewed, s.Table.Now())
	m.pieces = append(m.pieces, piece{first: before + s.q(Timeout) + " = " + strings.ReplaceAll(renewed, s.Table.Now(), "?") +
		" WHERE " + s.q(ID) + " IN ("}, piece{"?", ", ?"}, piece{first: ")"})
	return m
}

// InsertMany is Insert for many sessions. Arguments: InsertArgs. It answers as Insert does: the timeout is the same for all.
func (s *Set) InsertMany(columns []string) *Many {
	t := s.Table
	if !s.takes(columns) || len(t.Computed) > 0 {
		return nil
	}
	names := []string{s.q(ID), s.q(Data), s.q(Timeout)}
	values := []string{"b.b0", "b.b1", s.answer(t.Now() + " + " + itoa(s.Lifetime()))}
	n := 2
	add := func(name, value string) { names, values = append(names, s.q(name)), append(values, value) }
	next := func(name string) { add(name, "b.b"+strconv.Itoa(n)); n++ }
	if t.HasVersion {
		next(Version)
	}
	if t.HasCreated {
		add(Created, t.Now())
	}
	for _, c := range columns {
		next(c)
	}
	if t.HasApplication {
		add(Application, "$"+strconv.Itoa(n+1))
	}
	head := "INSERT INTO " + t.Ident() + " (" + strings.Join(names, ", ") + ") "
	if t.Dialect == dialect.Postgres {
		return one(head + "SELECT " + strings.Join(values, ", ") + " FROM " + s.unnest(columns, n-len(columns)) + " WHERE " + Patience + s.returning())
	}
	for i, v := range values {
		if v[0] == '$' || strings.HasPrefix(v, "b.") {
			values[i] = "?"
		}
	}
	row := "(" + strings.Join(values, ", ") + ")"
	return &Many{pieces: []piece{{first: head + "VALUES "}, {first: row, other: ", " + row}}}
}

// SaveArgs gives the arguments of a SaveMany. The rows are sorted, and for MySQL the last may be there again, with any payload: the first of a key counts. At is
// MySQL's second, see Together.Lock.
func (s *Set) SaveArgs(m *Many, rows []Row, columns int, application string, at int64) []any {
	if s.Table.Dialect == dialect.Postgres {
		return s.applicationArg(arrays(rows, columns, true), application)
	}
	args := make([]any, 0, len(rows)*(5+2*columns)+m.clocks)
	for _, r := range rows {
		args = append(args, r.Key, r.Text)
	}
	for _, r := range rows {
		args = append(args, r.Key, r.Version)
	}
	for i := range columns {
		for _, r := range rows {
			args = append(args, r.Key, r.Values[i])
		}
	}
	for range m.clocks {
		args = append(args, at)
	}
	for _, r := range rows {
		args = append(args, r.Key)
	}
	return args
}

// InsertArgs gives the arguments of InsertMany.
func (s *Set) InsertArgs(rows []Row, columns int, application string) []any {
	if s.Table.Dialect == dialect.Postgres {
		args := arrays(rows, columns, false)
		if !s.Table.HasVersion {
			args = slices.Delete(args, 2, 3)
		}
		return s.applicationArg(args, application)
	}
	args := make([]any, 0, len(rows)*(4+columns))
	for _, r := range rows {
		args = append(args, r.Key, r.Text)
		if s.Table.HasVersion {
			args = append(args, r.Version)
		}
		args = s.applicationArg(append(args, r.Values...), application)
	}
	return args
}

// takes tells whether rows with these columns can travel in a batch.
func (s *Set) takes(columns []string) bool {
	t := s.Table
	switch t.Dialect {
	case dialect.MySQL:
		return !s.bytewise() && !slices.ContainsFunc(columns, func(c string) bool { return slices.Contains(t.Waiting, c) })
	case dialect.Postgres:
		if s.keyType() == "" || !slices.Contains([]string{"TEXT", "VARCHAR", "BPCHAR"}, t.Types[Data]) {
			return false
		}
		for _, c := range columns {
			if t.Arrays[c] == "" {
				return false
			}
		}
		return true
	}
	return false // SQLite runs Save and Insert one after the other, in one transaction
}

// unnest makes rows of arrays: id, data, version and so on, then the extra columns.
func (s *Set) unnest(columns []string, own int) string {
	types := []string{s.keyType(), "text", "bigint", "bigint"}[:own]
	for _, c := range columns {
		types = append(types, s.Table.Arrays[c])
	}
	params, names := make([]string, len(types)), make([]string, len(types))
	for i, t := range types {
		params[i] = "$" + strconv.Itoa(i+1) + "::" + t + "[]"
		names[i] = "b" + strconv.Itoa(i)
	}
	return "unnest(" + strings.Join(params, ", ") + ") AS b(" + strings.Join(names, ", ") + ")"
}

// arrays turns rows into one array for each column.
func arrays(rows []Row, columns int, guarded bool) []any {
	keys, texts, versions := make([]string, len(rows)), make([]string, len(rows)), make([]int64, len(rows))
	for i, r := range rows {
		keys[i], texts[i], versions[i] = r.Key, r.Text, r.Version
	}
	args := append(make([]any, 0, 5+columns), keys, texts, versions)
	if guarded {
		guards := make([]int64, len(rows))
		for i, r := range rows {
			guards[i] = r.Guard
		}
		args = append(args, guards)
	}
	for i := range columns {
		var b strings.Builder
		b.WriteByte('{')
		for j, r := range rows {
			if j > 0 {
				b.WriteByte(',')
			}
			b.WriteString(r.Values[i].(string))
		}
		b.WriteByte('}')
		args = append(args, b.String())
	}
	return args
}

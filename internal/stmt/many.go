package stmt

import (
	"fmt"
	"slices"
	"strings"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
)

// The statements over many rows. They take ent's predicates, so they are built for each call.

// Keys finds the ids of the live sessions that match.
func (s *Set) Keys(application string, where []func(*sql.Selector)) (string, []any, error) {
	sel := s.selector(application, where).Select(ID)
	return query(sel)
}

// Any finds one of them.
func (s *Set) Any(application string, where []func(*sql.Selector)) (string, []any, error) {
	return query(s.selector(application, where).Select(ID).Limit(1))
}

// Count counts them.
func (s *Set) Count(application string, where []func(*sql.Selector)) (string, []any, error) {
	return query(s.selector(application, where).Select(sql.Count("*")))
}

// Page finds the next live sessions after an id, in the order of ids.
func (s *Set) Page(application, after string, limit int) (string, []any, error) {
	sel := s.selector(application, nil)
	if after != "" {
		sel.Where(sql.GT(sel.C(ID), after))
	}
	sel.OrderBy(sql.Asc(sel.C(ID))).Limit(limit)
	return query(s.rows(sel))
}

// ByKey reads those of the given sessions that are still live and still match.
func (s *Set) ByKey(application string, keys []string, where []func(*sql.Selector)) (string, []any, error) {
	sel := s.selector(application, where)
	sel.Where(sql.In(sel.C(ID), anys(keys)...))
	return query(s.rows(sel))
}

// Revoke makes tombstones of the live sessions that match.
func (s *Set) Revoke(application string, version int64, where []func(*sql.Selector)) (string, []any, error) {
	t := s.Table
	if err := s.meant(where); err != nil {
		return "", nil, err
	}
	sel := s.selector(application, where)
	if err := sel.Err(); err != nil {
		return "", nil, err
	}
	at := "-(" + t.Now() + ")"
	if t.UnsignedTimeout {
		at = "0"
	}
	up := sql.Dialect(t.Dialect).Update(t.Name).Schema(t.Schema).Set(Data, "").Set(Timeout, sql.Raw(at))
	if t.HasVersion {
		up.Set(Version, version)
	}
	text, args := up.Where(sel.P()).Query()
	return text, args, up.Err()
}

// meant refuses an empty condition, such as that of an empty list: it would match everyone.
func (s *Set) meant(where []func(*sql.Selector)) error {
	t := s.Table
	for i, w := range where {
		all := sql.Dialect(t.Dialect).Select().From(sql.Dialect(t.Dialect).Table(t.Name).Schema(t.Schema))
		if w != nil {
			w(all)
		}
		if all.P() == nil {
			return fmt.Errorf("predicate %d of %d is empty: to end every session, give none", i+1, len(where))
		}
	}
	return nil
}

// Expired finds the rows that the purge may delete, oldest first.
func (s *Set) Expired(application string, limit int) (string, []any) {
	text := s.text(func(b *sql.Builder) {
		b.WriteString("SELECT " + s.q(ID) + s.from() + " WHERE ")
		s.application(b)
		b.WriteString(s.expired(s.q(Timeout)) + " ORDER BY " + s.q(Timeout) + " LIMIT " + itoa(int64(limit)))
	})
	return text, s.applicationArg(nil, application)
}

// Purge deletes those of the given rows that are still expired. In the order of ids, as every statement over many rows locks them.
// The expiry is written so that no index fits it (timeout + 0): a planner that takes the expiry's index here reads every expired row
// again for each batch. For the same reason the application isn't asked for again: a row never changes it.
func (s *Set) Purge(keys []string) (string, []any) {
	slices.Sort(keys)
	args := anys(keys)
	return s.text(func(b *sql.Builder) {
		b.WriteString("DELETE" + s.from() + " WHERE " + s.q(ID) + " IN (")
		b.Args(args...)
		b.WriteString(") AND " + s.expired(s.q(Timeout)+" + 0"))
	}), args
}

// DescribeQuery reads no row, and tells the table's columns.
func (t *Table) DescribeQuery() string { return "SELECT * FROM " + t.Ident() + " WHERE 1 = 0" }

// ComputedQuery tells the columns that a copy of a row must leave to the database: generated ones, and those that count.
func (t *Table) ComputedQuery() (string, []any) {
	switch t.Dialect {
	case dialect.Postgres:
		return `SELECT column_name::text FROM information_schema.columns WHERE (table_schema, table_name) = (SELECT n.nspname, c.relname
			FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = CAST(CAST($1 AS text) AS regclass))
			AND (is_generated = 'ALWAYS' OR identity_generation = 'ALWAYS')`, []any{t.Ident()}
	case dialect.MySQL:
		return "SELECT column_name FROM information_schema.columns WHERE table_schema = COALESCE(NULLIF(?, ''), DATABASE()) AND table_name = ? " +
			"AND (generation_expression <> '' OR extra LIKE '%auto_increment%')", []any{t.Schema, t.Name}
	default:
		return "SELECT name FROM pragma_table_xinfo(?) WHERE hidden IN (2, 3)", []any{t.Name}
	}
}

// ArraysQuery tells what Arrays is, as name and type.
func (t *Table) ArraysQuery() (string, []any) {
	// With a modifier of -1, character is called bpchar: without a length it would be one character.
	return `SELECT a.attname::text, format_type(a.atttypid, -1) FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
		WHERE a.attrelid = CAST(CAST($1 AS text) AS regclass) AND a.attnum > 0 AND NOT a.attisdropped
		AND t.typtype IN ('b', 'e') AND t.typcategory <> 'A' AND t.typarray <> 0 AND t.typdelim = ','`, []any{t.Ident()}
}

// WaitingQuery tells what Waiting is.
func (t *Table) WaitingQuery() (string, []any) {
	return "SELECT column_name FROM information_schema.statistics WHERE table_schema = COALESCE(NULLIF(?, ''), DATABASE()) AND table_name = ? " +
			"AND non_unique = 0 AND index_name <> 'PRIMARY' UNION SELECT column_name FROM information_schema.key_column_usage " +
			"WHERE table_schema = COALESCE(NULLIF(?, ''), DATABASE()) AND table_name = ? AND referenced_table_name IS NOT NULL",
		[]any{t.Schema, t.Name, t.Schema, t.Name}
}

// PrimaryIDQuery tells whether the primary key is the id, 1 or 0.
func (t *Table) PrimaryIDQuery() (string, []any) {
	return "SELECT COUNT(*) = 1 AND MAX(column_name) = 'id' FROM information_schema.statistics WHERE table_schema = COALESCE(NULLIF(?, ''), DATABASE()) " +
		"AND table_name = ? AND index_name = 'PRIMARY'", []any{t.Schema, t.Name}
}

// Usage counts, for each application: live sessions, expired rows, tombstones, bytes of payload, the earliest creation.
func (s *Set) Usage() string {
	app, created, group := "''", "0", ""
	if s.Table.HasApplication {
		app, group = s.q(Application), " GROUP BY "+s.q(Application)+" ORDER BY "+s.q(Application)
	}
	if s.Table.HasCreated {
		created = s.q(Created)
	}
	sum := func(cond, what string) string {
		expr := "COALESCE(SUM(CASE WHEN " + cond + " THEN " + what + " ELSE 0 END), 0)"
		if s.Table.Dialect == dialect.SQLite {
			return expr
		}
		integer := "bigint"
		if s.Table.Dialect == dialect.MySQL {
			integer = "SIGNED"
		}
		return "CAST(" + expr + " AS " + integer + ")"
	}
	size := "OCTET_LENGTH(" + s.q(Data) + ")"
	if s.Table.Dialect == dialect.SQLite {
		size = "LENGTH(CAST(" + s.q(Data) + " AS BLOB))"
	}
	dead := s.q(Timeout) + " <= 0 OR " + s.q(Timeout) + " < " + s.Table.Now()
	return strings.Join([]string{
		"SELECT " + app,
		sum(s.live(), "1"),
		sum("NOT ("+s.live()+") AND "+s.q(Timeout)+" > 0", "1"),
		sum(s.q(Timeout)+" <= 0", "1"),
		sum(s.q(Data)+" IS NOT NULL", size),
		"MIN(CASE WHEN " + dead + " THEN NULL ELSE " + created + " END)",
	}, ", ") + s.from() + group
}

// selector selects the live rows of an application that match.
func (s *Set) selector(application string, where []func(*sql.Selector)) *sql.Selector {
	t := s.Table
	sel := sql.Dialect(t.Dialect).Select().From(sql.Dialect(t.Dialect).Table(t.Name).Schema(t.Schema))
	for _, w := range where {
		if w == nil {
			continue
		}
		theirs := sql.Dialect(t.Dialect).Select().From(sql.Dialect(t.Dialect).Table(t.Name).Schema(t.Schema))
		w(theirs)
		if err := theirs.Err(); err != nil {
			sel.AddError(err)
		}
		// In parentheses, or an OR in a raw predicate would reach over the conditions below.
		if p := theirs.P(); p != nil {
			sel.Where(sql.P(func(b *sql.Builder) { b.Wrap(func(b *sql.Builder) { b.Join(p) }) }))
		}
	}
	// Statistics that are older than the expiry know of no live session. And without any, which nobody asks it to make, SQLite takes the two columns of the
	// expiry's index for better than the one of the application's predicate; PostgreSQL may use it for the application alone.
	sel.Where(sql.P(func(b *sql.Builder) { b.WriteString(s.unindexed(s.live())) }))
	if t.HasApplication {
		before, after := "", ""
		if t.Dialect == dialect.SQLite {
			before, after = s.around()
		}
		sel.Where(sql.P(func(b *sql.Builder) {
			b.WriteString(before + s.q(Application) + " = ").Arg(application).WriteString(after)
		}))
	}
	return sel
}

// rows selects what List scans: the id, and then what Load reads.
func (s *Set) rows(sel *sql.Selector) *sql.Selector {
	return sel.SelectExpr(sql.Raw(s.q(ID) + ", " + s.columns()))
}

func (s *Set) application(b *sql.Builder) {
	if s.Table.HasApplication {
		b.WriteString(s.q(Application) + " = ").Arg(placeholder).WriteString(" AND ")
	}
}

func (s *Set) applicationArg(args []any, application string) []any {
	if s.Table.HasApplication {
		args = append(args, application)
	}
	return args
}

func query(sel *sql.Selector) (string, []any, error) {
	text, args := sel.Query()
	return text, args, sel.Err()
}

func anys(keys []string) []any {
	out := make([]any, len(keys))
	for i, k := range keys {
		out[i] = k
	}
	return out
}

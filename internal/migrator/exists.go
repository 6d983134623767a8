package migrator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
)

// ExistsError says that the table is there, and that no migration of this module made it.
type ExistsError struct {
	Table   string   // as configured, with the schema if there is one
	Columns []string // that it has
	Missing []string // that it lacks
	// Plan are the statements that adopt it: they add what is missing, and record that nothing else is to be done. It is empty
	// for a table that can't be one of sessions.
	Plan []string
}

func (e *ExistsError) Error() string {
	if len(e.Plan) == 0 {
		return fmt.Sprintf("table %q exists already, and it is not one of sessions: it has no column %s. Choose another table",
			e.Table, strings.Join(e.Missing, ", "))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "table %q exists already, and no migration of this module made it.", e.Table)
	if len(e.Missing) > 0 {
		fmt.Fprintf(&b, " It has no column %s.", strings.Join(e.Missing, ", "))
	}
	b.WriteString(" To adopt it as it is, with the rows it has, run:\n")
	for _, stmt := range e.Plan {
		fmt.Fprintf(&b, "\n%s;", stmt)
	}
	return b.String()
}

// vital are the columns without which a table is not one of sessions.
var vital = []string{"id", "data", "timeout"}

// Adopt plans how to make an existing table ours: the statements that add the columns and indexes it lacks, and those that record the
// first migration as applied, so that Apply and the atlas command go on from there. It changes nothing. The plan is empty for a table that
// the migrations made.
//
// Existing columns stay as they are, the application's own among them.
func Adopt(ctx context.Context, t Target) (statements []string, err error) {
	m, err := open(ctx, t)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("planning how to adopt table %s: %w", m.names, err)
		}
	}()
	h, err := m.history(ctx, m.drv)
	if err != nil {
		return nil, err
	}
	first := m.files[0]
	state, _ := m.state(h, first)
	if state == Applied || state == Altered {
		return nil, nil
	}
	columns, err := m.columns(ctx, m.drv, m.names.table)
	if err != nil {
		return nil, err
	}
	if len(columns) == 0 {
		return nil, errors.New("it does not exist")
	}
	if missing, err := m.missing(first, columns); err != nil || state == Partial && len(missing) == 0 {
		return nil, err // what is there is ours, and Apply goes on
	}
	err = m.exists(ctx, m.drv, h, first, columns)
	var exists *ExistsError
	if !errors.As(err, &exists) || len(exists.Plan) == 0 {
		return nil, err
	}
	return exists.Plan, nil
}

// exists is the error for a table that has some columns and no history.
func (m *migrator) exists(ctx context.Context, q dialect.ExecQuerier, h history, f file, columns []string) error {
	e := &ExistsError{Table: m.names.plain(), Columns: columns}
	for _, c := range vital {
		if !contains(columns, c) {
			e.Missing = append(e.Missing, c)
		}
	}
	if len(e.Missing) > 0 {
		return e
	}
	missing, err := m.missing(f, columns)
	if err != nil {
		return err
	}
	var add []string
	for _, d := range missing {
		e.Missing = append(e.Missing, d.name)
		definition, err := m.addable(ctx, q, d)
		if err != nil {
			return err
		}
		add = append(add, fmt.Sprintf("ALTER TABLE %s ADD COLUMN %s", m.names.qualify(m.names.table), definition))
	}
	indexes, err := m.missingIndexes(ctx, q, f)
	if err != nil {
		return err
	}
	e.Plan = append(append(add, indexes...), m.recordPlan(h, f)...)
	return e
}

// definition is a column or an index as the CREATE TABLE of a file defines it.
type definition struct{ name, text string }

// missing are the columns of the file's table that are not among columns.
func (m *migrator) missing(f file, columns []string) (missing []definition, err error) {
	defined, _, err := m.definitions(f)
	for _, d := range defined {
		if !contains(columns, d.name) {
			missing = append(missing, d)
		}
	}
	return missing, err
}

// contains compares as the databases do where it is safe: the names of our columns differ in more than case.
func contains(columns []string, name string) bool {
	return slices.ContainsFunc(columns, func(c string) bool { return strings.EqualFold(c, name) })
}

// definitions takes the CREATE TABLE of a file apart. The statement is one that Atlas has generated.
func (m *migrator) definitions(f file) (columns, indexes []definition, err error) {
	create := "CREATE TABLE " + m.names.quote(fileTable) + " ("
	at := slices.IndexFunc(f.stmts, func(s string) bool { return strings.HasPrefix(s, create) })
	if at < 0 {
		return nil, nil, fmt.Errorf("file %s does not create the table", f.name)
	}
	var parts []string
	var part strings.Builder
	depth := 0
	for rest := f.stmts[at][len(create):]; rest != "" && depth >= 0; {
		token := nextToken(rest, m.names.dialect)
		rest = rest[len(token):]
		switch token {
		case "(":
			depth++
		case ")":
			depth--
		}
		if depth < 0 || depth == 0 && token == "," {
			parts = append(parts, strings.TrimSpace(part.String()))
			part.Reset()
			continue
		}
		part.WriteString(token)
	}
	for _, p := range parts {
		if name, ok := m.names.unquote(nextToken(p, m.names.dialect)); ok {
			columns = append(columns, definition{name, p})
		} else if after, ok := strings.CutPrefix(p, "INDEX "); ok {
			name, _ := m.names.unquote(nextToken(after, m.names.dialect))
			indexes = append(indexes, definition{name, p})
		}
	}
	return columns, indexes, nil
}

// addable is a column's definition as ALTER TABLE takes it. SQLite adds no column whose default is an expression to a table that
// has rows: there the current second becomes the default.
func (m *migrator) addable(ctx context.Context, q dialect.ExecQuerier, d definition) (string, error) {
	const now = "(unixepoch()) + (0)"
	if m.names.dialect != dialect.SQLite || !strings.Contains(d.text, now) {
		return d.text, nil
	}
	var second string
	err := each(ctx, q, "SELECT unixepoch()", nil, func(rows *entsql.Rows) error { return rows.Scan(&second) })
	if err != nil {
		return "", fmt.Errorf("reading the clock: %w", err)
	}
	return strings.ReplaceAll(d.text, now, second), nil
}

// missingIndexes are the statements that make the indexes which the table lacks.
func (m *migrator) missingIndexes(ctx context.Context, q dialect.ExecQuerier, f file) (stmts []string, err error) {
	_, indexes, err := m.definitions(f)
	if err != nil {
		return nil, err
	}
	for i := range indexes { // MySQL's, inside the CREATE TABLE
		indexes[i].text = "ALTER TABLE " + m.names.qualify(m.names.table) + " ADD " + indexes[i].text
	}
	for _, stmt := range f.stmts { // the others'
		if after, ok := strings.CutPrefix(stmt, "CREATE INDEX "); ok {
			name, _ := m.names.unquote(nextToken(after, m.names.dialect))
			indexes = append(indexes, definition{name, strings.TrimSuffix(m.names.rewrite(stmt), ";")})
		}
	}
	for _, index := range indexes {
		found, err := m.hasIndex(ctx, q, m.names.index(index.name))
		if err != nil {
			return nil, err
		}
		if !found {
			stmts = append(stmts, index.text)
		}
	}
	return stmts, nil
}

// recordPlan are the statements that record a file as applied, in the way of `atlas migrate set`.
func (m *migrator) recordPlan(h history, f file) (stmts []string) {
	table := m.names.qualify(h.table)
	if !h.exists {
		stmts = append(stmts, fmt.Sprintf(m.sql.createHistory, table))
	}
	text := func(s string) string {
		if m.names.dialect == dialect.MySQL {
			s = strings.ReplaceAll(s, `\`, `\\`)
		}
		return "'" + strings.ReplaceAll(s, "'", "''") + "'"
	}
	if _, ok := h.revisions[f.version]; ok { // of an attempt that failed
		return append(stmts, fmt.Sprintf("UPDATE %s SET type = 4, applied = 0, total = 0, error = '', error_stmt = '', hash = %s, "+
			"partial_hashes = 'null' WHERE version = %s", table, text(f.hash), text(f.version)))
	}
	return append(stmts, fmt.Sprintf("INSERT INTO %s (version, description, type, applied, total, executed_at, execution_time, error, "+
		"error_stmt, hash, partial_hashes, operator_version) VALUES (%s, %s, 4, 0, 0, %s, 0, '', '', %s, 'null', %s)",
		table, text(f.version), text(f.description), m.sql.now, text(f.hash), text(m.Operator)))
}

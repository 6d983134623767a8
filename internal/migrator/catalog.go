package migrator

import (
	"context"
	"fmt"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
)

// What is in the database, as its own catalog has it.

// columns are those of a table in the target's schema; none means that there is no such table.
func (m *migrator) columns(ctx context.Context, q dialect.ExecQuerier, table string) ([]string, error) {
	columns, err := m.lookUp(ctx, q, m.sql.columns, m.names.schema, table)
	if err != nil {
		return nil, fmt.Errorf("looking for table %q: %w", table, err)
	}
	return columns, nil
}

// hasIndex tells whether the target has an index of that name.
func (m *migrator) hasIndex(ctx context.Context, q dialect.ExecQuerier, index string) (bool, error) {
	found, err := m.lookUp(ctx, q, m.sql.index, m.names.schema, m.names.table, index)
	if err != nil {
		return false, fmt.Errorf("looking for index %q: %w", index, err)
	}
	return len(found) > 0, nil
}

// checkSchema makes sure that the target's schema exists, if it names one.
func (m *migrator) checkSchema(ctx context.Context, q dialect.ExecQuerier) error {
	if m.names.schema == "" {
		return nil
	}
	found, err := m.lookUp(ctx, q, m.sql.schema, m.names.schema)
	switch {
	case err != nil:
		return fmt.Errorf("looking for schema %q: %w", m.names.schema, err)
	case len(found) > 0:
		return nil
	case m.names.dialect == dialect.SQLite:
		return fmt.Errorf("no database is attached as %q", m.names.schema)
	default:
		return fmt.Errorf("schema %q does not exist: create it with CREATE SCHEMA %s", m.names.schema, m.names.quote(m.names.schema))
	}
}

func (m *migrator) lookUp(ctx context.Context, q dialect.ExecQuerier, query string, args ...any) (found []string, err error) {
	err = each(ctx, q, query, args, func(rows *entsql.Rows) error {
		var name string
		if err := rows.Scan(&name); err != nil {
			return err
		}
		found = append(found, name)
		return nil
	})
	return found, err
}

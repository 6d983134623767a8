package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"reflect"

	"github.com/entsession/entsession/internal/guard"
)

// maxStatements is how many prepared statements a connection keeps: a store has about a dozen that come again and again.
const maxStatements = 64

// statements keeps a connection's statements prepared. SQLite compiles a statement each time it is given as text, which
// takes a third of the time of a load; compiled ones follow a changed schema by themselves (sqlite.org/c3ref/prepare.html).
// pgx does the same for PostgreSQL.
type statements struct {
	guard.Conn
	driver.Validator
	kept map[string]*statement
	uses uint64
}

type statement struct {
	execer  driver.StmtExecContext
	queryer driver.StmtQueryContext
	close   func() error
	busy    bool   // its rows are being read: running it again would reset them
	used    uint64 // when it was last used, counted in uses
}

// keepStatements wraps a connection of the driver's.
func keepStatements(inner driver.Conn) *statements {
	return &statements{Conn: inner.(guard.Conn), Validator: inner.(driver.Validator), kept: map[string]*statement{}}
}

// ExecContext implements driver.ExecerContext.
func (c *statements) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	s, err := c.statement(ctx, query)
	if err != nil {
		return nil, err
	}
	if s == nil || s.busy {
		return c.Conn.ExecContext(ctx, query, args)
	}
	return s.execer.ExecContext(ctx, args)
}

// QueryContext implements driver.QueryerContext.
func (c *statements) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	s, err := c.statement(ctx, query)
	if err != nil {
		return nil, err
	}
	if s == nil || s.busy {
		return c.Conn.QueryContext(ctx, query, args)
	}
	inner, err := s.queryer.QueryContext(ctx, args)
	if err != nil {
		return nil, err
	}
	full, ok := inner.(fullRows)
	if !ok {
		return nil, errors.Join(errors.New("the driver's rows can do too little"), inner.Close())
	}
	s.busy = true
	return &rows{full, s}, nil
}

// Close implements driver.Conn.
func (c *statements) Close() error {
	var errs []error
	for _, s := range c.kept {
		errs = append(errs, s.close())
	}
	return errors.Join(append(errs, c.Conn.Close())...)
}

// statement finds or prepares one; nil if it is not to be kept.
func (c *statements) statement(ctx context.Context, query string) (*statement, error) {
	c.uses++
	if s, ok := c.kept[query]; ok {
		s.used = c.uses
		return s, nil
	}
	prepared, err := c.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	s := &statement{close: prepared.Close, used: c.uses}
	var e, q bool
	s.execer, e = prepared.(driver.StmtExecContext)
	s.queryer, q = prepared.(driver.StmtQueryContext)
	if !e || !q {
		return nil, prepared.Close()
	}
	if len(c.kept) >= maxStatements {
		if err := c.forget(); err != nil {
			return nil, errors.Join(err, prepared.Close())
		}
	}
	c.kept[query] = s
	return s, nil
}

// forget closes the statement that was not used for longest.
func (c *statements) forget() error {
	var oldest string
	for query, s := range c.kept {
		if !s.busy && (oldest == "" || s.used < c.kept[oldest].used) {
			oldest = query
		}
	}
	if oldest == "" {
		return nil // all of them are busy: keep one more
	}
	s := c.kept[oldest]
	delete(c.kept, oldest)
	return s.close()
}

// fullRows is what the driver's rows can do.
type fullRows interface {
	driver.Rows
	driver.RowsColumnTypeDatabaseTypeName
	driver.RowsColumnTypeLength
	driver.RowsColumnTypeNullable
	driver.RowsColumnTypePrecisionScale
	ColumnTypeScanType(index int) reflect.Type
}

type rows struct {
	fullRows
	of *statement
}

// Close implements driver.Rows.
func (r *rows) Close() error {
	err := r.fullRows.Close()
	r.of.busy = false
	return err
}

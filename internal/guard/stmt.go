package guard

import (
	"context"
	"database/sql/driver"

	"github.com/entsession/entsession/internal/wire"
)

// stmt is a driver's prepared statement under guard. It is not asked for driver.ColumnConverter: the driver here that has one has a
// NamedValueChecker too, which goes first.
type stmt struct {
	wire.Prepared
	conn    *conn
	checker driver.NamedValueChecker
}

// Prepare implements driver.Conn.
func (c *conn) Prepare(query string) (driver.Stmt, error) {
	return c.PrepareContext(context.Background(), query)
}

// PrepareContext implements driver.ConnPrepareContext.
func (c *conn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	if err := c.use(ctx); err != nil {
		return nil, err
	}
	prepared, err := c.inner.PrepareContext(ctx, query)
	if err != nil {
		return nil, c.seen(err)
	}
	inner, ok := prepared.(wire.Prepared)
	if !ok {
		return prepared, nil
	}
	s := &stmt{Prepared: inner, conn: c, checker: c}
	if checker, ok := prepared.(driver.NamedValueChecker); ok {
		s.checker = checker
	}
	return s, nil
}

// ExecContext implements driver.StmtExecContext.
func (s *stmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	result, err := s.Prepared.ExecContext(ctx, args)
	return result, s.conn.seen(err)
}

// QueryContext implements driver.StmtQueryContext.
func (s *stmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	rows, err := s.Prepared.QueryContext(ctx, args)
	return rows, s.conn.seen(err)
}

// CheckNamedValue implements driver.NamedValueChecker.
func (s *stmt) CheckNamedValue(v *driver.NamedValue) error { return s.checker.CheckNamedValue(v) }

// tx is the connection, seen as its one open transaction: no allocation for what every change needs. A server
// that became read-only may say so at the commit only.
type tx conn

// Begin implements driver.Conn.
func (c *conn) Begin() (driver.Tx, error) {
	return c.BeginTx(context.Background(), driver.TxOptions{})
}

// BeginTx implements driver.ConnBeginTx.
func (c *conn) BeginTx(ctx context.Context, options driver.TxOptions) (driver.Tx, error) {
	if err := c.use(ctx); err != nil {
		return nil, err
	}
	inner, err := c.inner.BeginTx(ctx, options)
	if err != nil {
		return nil, c.seen(err)
	}
	c.tx, c.txCtx = inner, ctx
	return (*tx)(c), nil
}

// Commit implements driver.Tx.
func (t *tx) Commit() error {
	c := (*conn)(t)
	if c.connector.options.EndByStatement {
		_, err := c.inner.ExecContext(c.txCtx, "COMMIT", nil)
		if err != nil {
			// A context that ended just before it kept it from being sent: the next one to use the connection would be within this transaction.
			c.bad = true
		}
		return c.seen(err)
	}
	return c.seen(c.tx.Commit())
}

// Rollback implements driver.Tx.
func (t *tx) Rollback() error {
	c := (*conn)(t)
	if c.connector.options.EndByStatement {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(c.txCtx), rollbackTimeout)
		defer cancel()
		_, err := c.inner.ExecContext(ctx, "ROLLBACK", nil)
		if err != nil {
			c.bad = true // who knows what is still open
		}
		return c.seen(err)
	}
	return c.seen(c.tx.Rollback())
}

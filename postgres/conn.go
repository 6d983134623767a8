package postgres

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/stdlib"
)

// conn is pgx's connection.
type conn struct {
	*stdlib.Conn
	connector *connector
	watching  watch

	// For the statements that RunDirect runs.
	statements map[string]*prepared
	replanned  bool    // one of them in this trip
	buffer     *[]byte // the arguments of the statement under way, one after the other; nil: there is none
	ends       []int
	values     [][]byte
	formats    []int16
	args       []any // if pgx is to encode them
	message    pgproto3.Bind
	added      []*prepared // the statements of the next trip
	out        *[]byte     // the messages; nil: there are none
	row        raw         // of the answer
}

// Close implements driver.Conn.
func (c *conn) Close() error {
	err := c.Conn.Close()
	c.connector.await(c.Conn.Conn().PgConn().CleanupDone())
	return err
}

// errBroke is for what pgx takes for a statement that it could not send, see ExecContext.
var errBroke = fmt.Errorf("the connection broke while the statement was under way: %w", io.ErrUnexpectedEOF)

// ExecContext implements driver.ExecerContext. When the connection breaks while pgx waits for the answer to a statement
// without arguments, pgx says ErrBadConn, and sql.DB would run the statement a second time.
func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	closed := c.Conn.Conn().IsClosed()
	result, err := c.Conn.ExecContext(ctx, query, args)
	return result, c.unsure(closed, err)
}

// QueryContext implements driver.QueryerContext.
func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	closed := c.Conn.Conn().IsClosed()
	rows, err := c.Conn.QueryContext(ctx, query, args)
	return rows, c.unsure(closed, err)
}

func (c *conn) unsure(closedBefore bool, err error) error {
	if err != nil && !closedBefore && errors.Is(err, driver.ErrBadConn) && c.Conn.Conn().IsClosed() {
		return errBroke
	}
	return err
}

package postgres

import (
	"context"
	"database/sql/driver"
	"encoding/binary"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/entsession/entsession/internal/wire"
)

// formats are the types that come in binary; others come as text. They are those of pgx's own driver for database/sql, so that the values are
// the same either way.
var formats = pgx.QueryResultFormatsByOID{
	pgtype.BoolOID: 1, pgtype.ByteaOID: 1, pgtype.CIDOID: 1, pgtype.DateOID: 1, pgtype.Float4OID: 1, pgtype.Float8OID: 1,
	pgtype.Int2OID: 1, pgtype.Int4OID: 1, pgtype.Int8OID: 1, pgtype.OIDOID: 1, pgtype.TimestampOID: 1, pgtype.TimestamptzOID: 1, pgtype.XIDOID: 1,
}

// IsDirect implements wire.Direct.
func (c *conn) IsDirect() bool { return true }

// Prepares implements wire.Direct.
func (c *conn) Prepares() bool { return c.connector.prepares }

// RunDirect implements wire.Direct: the rows as they came over the network, without a value for each column.
func (c *conn) RunDirect(ctx context.Context, limit time.Duration, text string, args []any, each func(wire.Raw) error) (n int64, err error) {
	inner := c.Conn.Conn()
	if inner.IsClosed() {
		return 0, driver.ErrBadConn
	}
	c.watch(ctx, limit)
	defer c.ended(&err)
	return c.run(inner, text, args, each)
}

// ended ends the watch over a statement, after a panic too, and adds to its error why it was ended, if it was.
func (c *conn) ended(err *error) {
	if reason := c.watching.done(); *err != nil && reason != nil {
		*err = fmt.Errorf("%w (%w)", reason, *err)
	}
}

func (c *conn) run(inner *pgx.Conn, text string, args []any, each func(wire.Raw) error) (int64, error) {
	// The end of the context is watched for by c itself: see watch.
	ctx := context.Background()
	p, err := c.prepared(ctx, inner, text)
	if err != nil {
		return 0, err
	}
	c.row.types = inner.TypeMap()
	defer c.forget()
	if p == nil || !c.encode(p.ParamOIDs, args) {
		return c.runAny(ctx, inner, text, args, each)
	}
	if err := c.add(p); err != nil {
		return 0, err
	}
	return c.trip(inner.PgConn(), each, nil, nil)
}

// RunEach implements wire.Direct.
func (c *conn) RunEach(ctx context.Context, limit time.Duration, n int, statement wire.Statement, each func(int, wire.Raw) error, changed []int64) (err error) {
	inner := c.Conn.Conn()
	if inner.IsClosed() {
		return driver.ErrBadConn
	}
	c.watch(ctx, limit)
	defer c.ended(&err)
	return c.runEach(inner, n, statement, each, changed)
}

func (c *conn) runEach(inner *pgx.Conn, n int, statement wire.Statement, each func(int, wire.Raw) error, changed []int64) error {
	c.row.types = inner.TypeMap()
	defer c.forget()
	defer func() { clear(c.args) }()
	for i := range n {
		var text string
		text, c.args = statement(i, c.args[:0])
		p, err := c.prepared(context.Background(), inner, text) // as in run
		switch {
		case err != nil:
			return err
		case p == nil || !c.encode(p.ParamOIDs, c.args):
			return driver.ErrSkip
		}
		if err := c.add(p); err != nil {
			return err
		}
		clear(*c.buffer) // the next may be shorter; the message has a copy
	}
	_, err := c.trip(inner.PgConn(), nil, each, changed)
	return err
}

// runAny leaves the arguments to pgx, which knows what to do with every type.
func (c *conn) runAny(ctx context.Context, inner *pgx.Conn, text string, args []any, each func(wire.Raw) error) (int64, error) {
	c.args = append(append(c.args[:0], formats), args...)
	defer clear(c.args)
	rows, err := inner.Query(ctx, text, c.args...)
	if err != nil {
		return 0, c.notSent(err)
	}
	defer rows.Close()
	for rows.Next() {
		if each == nil {
			continue
		}
		c.row.fields, c.row.values = rows.FieldDescriptions(), rows.RawValues()
		if err := each(&c.row); err != nil {
			return 0, err
		}
	}
	rows.Close()
	if err := rows.Err(); err != nil {
		return 0, err
	}
	return rows.CommandTag().RowsAffected(), nil
}

// notSent is the error of a statement that was not even begun.
func (c *conn) notSent(err error) error {
	if pgconn.SafeToRetry(err) {
		return c.unsure(false, driver.ErrBadConn)
	}
	return err
}

// raw implements wire.Raw.
type raw struct {
	fields []pgconn.FieldDescription
	types  *pgtype.Map
	values [][]byte
}

func (r *raw) Bytes(i int) []byte { return r.values[i] }

func (r *raw) Int(i int) (int64, error) {
	v := r.values[i]
	field := &r.fields[i]
	switch {
	case v == nil:
		return 0, nil
	case field.Format == pgtype.TextFormatCode:
		return strconv.ParseInt(string(v), 10, 64)
	case field.DataTypeOID == pgtype.Int8OID && len(v) == 8:
		return int64(binary.BigEndian.Uint64(v)), nil
	case field.DataTypeOID == pgtype.Int4OID && len(v) == 4:
		return int64(int32(binary.BigEndian.Uint32(v))), nil
	case field.DataTypeOID == pgtype.Int2OID && len(v) == 2:
		return int64(int16(binary.BigEndian.Uint16(v))), nil
	}
	return 0, fmt.Errorf("an integer was expected, not a value of type %d", field.DataTypeOID)
}

// y2k is when PostgreSQL's times begin, in Unix' seconds. They are in microseconds.
const y2k = 946_684_800

func (r *raw) Second(i int) (int64, error) {
	v, field := r.values[i], &r.fields[i]
	if field.Format != pgtype.BinaryFormatCode || field.DataTypeOID != pgtype.TimestamptzOID || len(v) != 8 {
		return 0, fmt.Errorf("a time in binary was expected, not a value of type %d", field.DataTypeOID)
	}
	micros := int64(binary.BigEndian.Uint64(v))
	seconds := micros / 1e6
	if micros%1e6 < 0 {
		seconds--
	}
	return seconds + y2k, nil
}

func (r *raw) Value(i int) (driver.Value, error) {
	v := r.values[i]
	if v == nil {
		return nil, nil
	}
	field := &r.fields[i]
	switch field.DataTypeOID {
	case pgtype.Int8OID, pgtype.Int4OID, pgtype.Int2OID:
		return r.Int(i)
	case pgtype.BoolOID:
		return scan[bool](r, field, v)
	case pgtype.ByteaOID:
		return scan[[]byte](r, field, v)
	case pgtype.Float4OID:
		f, err := scan[float32](r, field, v)
		return float64(f), err
	case pgtype.Float8OID:
		return scan[float64](r, field, v)
	case pgtype.CIDOID, pgtype.OIDOID, pgtype.XIDOID:
		n, err := scan[uint32](r, field, v)
		return int64(n), err
	case pgtype.JSONOID, pgtype.JSONBOID, pgtype.XMLOID:
		return append([]byte{}, v...), nil
	case pgtype.DateOID:
		return value(scan[pgtype.Date](r, field, v))
	case pgtype.TimestampOID:
		return value(scan[pgtype.Timestamp](r, field, v))
	case pgtype.TimestamptzOID:
		return value(scan[pgtype.Timestamptz](r, field, v))
	}
	return string(v), nil
}

func scan[T any](r *raw, field *pgconn.FieldDescription, v []byte) (out T, err error) {
	err = r.types.Scan(field.DataTypeOID, field.Format, v, &out)
	return out, err
}

func value(v driver.Valuer, err error) (driver.Value, error) {
	if err != nil {
		return nil, err
	}
	return v.Value()
}

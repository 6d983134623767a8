package postgres

import (
	"context"
	"encoding/binary"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

// maxPrepared bounds the statements that a connection keeps prepared here. What the store sends at every request are some dozens of texts; further
// ones are left to pgx, which forgets those that were not used for long.
const maxPrepared = 200

// A statement's plan is what the server knew of the table when it was prepared, and stays until it learns more, which may take its autovacuum a minute: of a new
// table, that each batch had better read all of it. So a statement is prepared anew after firstPlan, and each time after that grows times as long, up to lastPlan.
const (
	firstPlan = time.Second
	grows     = 8
	lastPlan  = time.Hour
)

// prepared is a statement that the server knows.
type prepared struct {
	*pgconn.StatementDescription
	fields  []pgconn.FieldDescription // of the answer
	formats []int16                   // of its columns
	lasts   time.Duration             // its plan
	until   time.Time
}

// prepared prepares a statement at its first use, and when its plan is old. It is nil when that is up to pgx: the configuration wants statements to be sent in another way,
// as some poolers need, or to be traced.
func (c *conn) prepared(ctx context.Context, inner *pgx.Conn, text string) (*prepared, error) {
	lasts, now := firstPlan, time.Now()
	if p, ok := c.statements[text]; ok {
		if c.replanned || now.Before(p.until) { // one in a trip is enough
			return p, nil
		}
		c.replanned = true
		delete(c.statements, text)
		if err := inner.Deallocate(ctx, text); err != nil {
			c.abandon(inner.PgConn()) // pgx may not have read all of the answer
			return nil, c.unprepared(err)
		}
		lasts = min(p.lasts*grows, lastPlan)
	}
	if !c.connector.prepares || len(c.statements) >= maxPrepared {
		return nil, nil
	}
	described, err := inner.Prepare(ctx, text, text)
	if err != nil {
		return nil, c.unprepared(err)
	}
	p := &prepared{StatementDescription: described, lasts: lasts, until: now.Add(lasts)}
	for _, f := range described.Fields {
		f.Format = formats[f.DataTypeOID]
		p.fields, p.formats = append(p.fields, f), append(p.formats, f.Format)
	}
	if c.statements == nil {
		c.statements = map[string]*prepared{}
	}
	c.statements[text] = p
	return p, nil
}

// unprepared is the error of a statement of which nothing was sent, for it could not be prepared: should it be a write, it has not happened.
func (c *conn) unprepared(err error) error {
	if c.Conn.Conn().IsClosed() && !c.watching.interrupted() {
		return unsent{err}
	}
	return c.notSent(err)
}

// buffers are for the arguments of statements under way, and for the messages with them.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// size is at least what encode writes.
func size(args []any) int {
	n := 1 // never none: see encode
	for _, a := range args {
		switch a := a.(type) {
		case string:
			n += len(a)
		case *string:
			n += len(*a)
		case []string:
			n += 20 + 4*len(a)
			for _, s := range a {
				n += len(s)
			}
		case []int64:
			n += 20 + 12*len(a)
		default:
			n += 8
		}
	}
	return n
}

// encode writes arguments as the server takes them. It knows those of nearly every statement; of others it reports false, and pgx encodes all.
func (c *conn) encode(types []uint32, args []any) bool {
	if len(args) != len(types) {
		return false
	}
	if c.buffer == nil {
		c.buffer = buffers.Get().(*[]byte)
	}
	b := (*c.buffer)[:0]
	if need := size(args); cap(b) < need {
		b = make([]byte, 0, max(need, 512)) // never nil, which would be NULL where an empty string is meant
	}
	*c.buffer = b
	c.ends, c.formats = c.ends[:0], c.formats[:0]
	for i, a := range args {
		encoded, format, ok := appendArg(b, types[i], a)
		*c.buffer = encoded // also if it is of no use: see forget
		if !ok {
			return false
		}
		b = encoded
		c.ends, c.formats = append(c.ends, len(b)), append(c.formats, format)
	}
	c.values = c.values[:0]
	start := 0
	for _, end := range c.ends {
		c.values = append(c.values, b[start:end:end])
		start = end
	}
	return true
}

// appendArg appends one; false: it is not known here.
func appendArg(b []byte, oid uint32, a any) ([]byte, int16, bool) {
	switch a := a.(type) {
	case string: // in text, of any type: as pgx has it
		return append(b, a...), pgtype.TextFormatCode, true
	case *string:
		return append(b, *a...), pgtype.TextFormatCode, true
	case int64:
		return binary.BigEndian.AppendUint64(b, uint64(a)), pgtype.BinaryFormatCode, oid == pgtype.Int8OID
	case *int64:
		return binary.BigEndian.AppendUint64(b, uint64(*a)), pgtype.BinaryFormatCode, oid == pgtype.Int8OID
	case []string:
		element, ok := textArrays[oid]
		if !ok {
			return b, 0, false
		}
		b = appendArray(b, element, len(a))
		for _, s := range a {
			b = append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
		}
		return b, pgtype.BinaryFormatCode, true
	case []int64:
		b = appendArray(b, pgtype.Int8OID, len(a))
		for _, n := range a {
			b = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(b, 8), uint64(n))
		}
		return b, pgtype.BinaryFormatCode, oid == pgtype.Int8ArrayOID
	}
	return b, 0, false
}

// textArrays are array types by OID, and their elements'.
var textArrays = map[uint32]uint32{
	pgtype.TextArrayOID: pgtype.TextOID, pgtype.VarcharArrayOID: pgtype.VarcharOID, pgtype.BPCharArrayOID: pgtype.BPCharOID,
}

// appendArray begins an array of one dimension without NULLs, in the binary format (array_recv in PostgreSQL's
// src/backend/utils/adt/arrayfuncs.c): dimensions, has NULLs, element type, length, lower bound. The elements follow, each after its length.
func appendArray(b []byte, element uint32, n int) []byte {
	if n == 0 {
		return append(b, 0, 0, 0, 0, 0, 0, 0, 0, byte(element>>24), byte(element>>16), byte(element>>8), byte(element))
	}
	for _, v := range [...]uint32{1, 0, element, uint32(n), 1} {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return b
}

// forget lets go of a statement's arguments and rows, which may be secrets.
func (c *conn) forget() {
	c.row.fields, c.row.values, c.replanned = nil, nil, false
	clear(c.added)
	c.added = c.added[:0]
	clear(c.values)
	for _, b := range []**[]byte{&c.buffer, &c.out} {
		if *b != nil {
			clear(**b)
			**b = (**b)[:0]
			buffers.Put(*b)
			*b = nil
		}
	}
}

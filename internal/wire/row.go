package wire

import (
	"context"
	"database/sql/driver"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Row is a row of an answer. It, and what it refers to, changes with the next one.
type Row struct {
	values []driver.Value
	raw    Raw // instead of values
	first  int // the column that counts as the first
}

// Raw is a row that a driver has not yet turned into values.
type Raw interface {
	// Bytes are a text's, or nil for NULL.
	Bytes(i int) []byte
	// Int is an integer, or 0 for NULL.
	Int(i int) (int64, error)
	// Second is a point in time, as Unix counts.
	Second(i int) (int64, error)
	// Value is what database/sql would get.
	Value(i int) (driver.Value, error)
}

// Statement gives the text of the i-th of several statements, and appends its arguments to args.
type Statement func(i int, args []any) (text string, _ []any)

// Direct is a driver's connection that answers with Raw rows, and that bounds a statement by itself: a context with a timeout for each costs
// more than the rest of a call. It closes itself when the limit is over, and the error is then context.DeadlineExceeded. No limit: 0. No rows
// wanted: each is nil. The number is that of the rows changed. driver.ErrSkip sends the caller to QueryContext and ExecContext.
type Direct interface {
	IsDirect() bool // false: RunDirect gives driver.ErrSkip
	RunDirect(ctx context.Context, limit time.Duration, text string, args []any, each func(Raw) error) (int64, error)
	Prepares() bool // whether it prepares statements and sends them by name; false: RunEach gives driver.ErrSkip
	// RunEach runs n statements: see Pool.Each. driver.ErrSkip: none was sent, they can't be.
	RunEach(ctx context.Context, limit time.Duration, n int, statement Statement, each func(int, Raw) error, changed []int64) error
}

// From is the row without its first columns.
func (r Row) From(n int) Row { return Row{r.values, r.raw, r.first + n} }

// Int is an integer. MySQL's driver gives some as text. NULL is 0.
func (r Row) Int(i int) (int64, error) {
	if r.raw != nil {
		return r.raw.Int(r.first + i)
	}
	switch v := r.values[r.first+i].(type) {
	case int64:
		return v, nil
	case nil:
		return 0, nil
	case uint64:
		return int64(v), nil
	case []byte:
		return strconv.ParseInt(string(v), 10, 64)
	case string:
		return strconv.ParseInt(v, 10, 64)
	default:
		return 0, fmt.Errorf("an integer was expected, not a %T", v)
	}
}

// Second is the second that a point in time is in, as Unix counts: of a Raw row only, as others go by settings.
func (r Row) Second(i int) (int64, error) {
	if r.raw == nil {
		return 0, fmt.Errorf("a time in binary was expected, not a %T", r.values[r.first+i])
	}
	return r.raw.Second(r.first + i)
}

// Is tells whether a text is that one. NULL is none.
func (r Row) Is(i int, text string) bool {
	if r.raw != nil {
		b := r.raw.Bytes(r.first + i)
		return b != nil && string(b) == text
	}
	got, ok := r.Text(i)
	return ok && got == text
}

// Text is a text of the caller's own, and false for NULL.
func (r Row) Text(i int) (string, bool) {
	if r.raw != nil {
		b := r.raw.Bytes(r.first + i)
		return string(b), b != nil
	}
	switch v := r.values[r.first+i].(type) {
	case string:
		return v, true
	case []byte:
		return string(v), true
	}
	return "", false
}

// Bytes are a text of the caller's own, and nil for NULL.
func (r Row) Bytes(i int) []byte {
	if r.raw != nil {
		b := r.raw.Bytes(r.first + i)
		if b == nil {
			return nil
		}
		return append(make([]byte, 0, len(b)), b...)
	}
	switch v := r.values[r.first+i].(type) {
	case string:
		return []byte(v)
	case []byte:
		return append(make([]byte, 0, len(v)), v...)
	}
	return nil
}

// Key is a stored id, without the blanks that PostgreSQL pads it with.
func (r Row) Key(i int) string {
	text, _ := r.Text(i)
	return strings.TrimRight(text, " ")
}

// Compare compares a Key with another.
func (r Row) Compare(i int, key string) int {
	if r.raw == nil {
		return strings.Compare(r.Key(i), key)
	}
	b := r.raw.Bytes(r.first + i)
	for len(b) > 0 && b[len(b)-1] == ' ' {
		b = b[:len(b)-1]
	}
	switch { // without a copy, unlike strings.Compare
	case string(b) == key:
		return 0
	case string(b) < key:
		return -1
	}
	return 1
}

// Value is a value of the caller's own, as database/sql would give it.
func (r Row) Value(i int) (driver.Value, error) {
	if r.raw != nil {
		return r.raw.Value(r.first + i)
	}
	v := r.values[r.first+i]
	if b, ok := v.([]byte); ok {
		v = append([]byte{}, b...)
	}
	return v, nil
}

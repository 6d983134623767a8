package wire

import (
	"database/sql/driver"
	"fmt"
	"strconv"
	"strings"
)

// Int is an integer as a driver gives it: MySQL's gives some as text. NULL is 0.
func Int(v driver.Value) (int64, error) {
	switch v := v.(type) {
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
	}
	return 0, fmt.Errorf("an integer was expected, not a %T", v)
}

// Key is a stored id without the blanks that PostgreSQL pads it with.
func Key(v driver.Value) string { return strings.TrimRight(Text(v), " ") }

// Text is a text as a driver gives it: MySQL's gives bytes. NULL is "".
func Text(v driver.Value) string {
	switch v := v.(type) {
	case string:
		return v
	case []byte:
		return string(v)
	}
	return ""
}

// Copy makes a value the caller's own.
func Copy(v driver.Value) driver.Value {
	if b, ok := v.([]byte); ok {
		return append([]byte{}, b...)
	}
	return v
}

package stmt_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/internal/stmt"
)

func TestElement(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("", 3600+17)
	at := time.Date(2026, 11, 23, 4, 5, 6, 123456789, zone)
	for _, c := range []struct {
		value any
		typ   string
		want  string // "": it goes alone
	}{
		{nil, "uuid", `NULL`},
		{"NULL", "text", `"NULL"`},
		{`a"b\c{},` + "\n", "character varying", `"a\"b\\c{},` + "\n" + `"`},
		{"x\x00", "text", ""},
		{"x", "bytea", ""},
		{[]byte("a\x00"), "bytea", `"\\x6100"`},
		{[]byte(nil), "bytea", `NULL`},
		{[]byte("a"), "jsonb", ""},
		{42, "bigint", `42`},
		{int64(-1 << 63), "bigint", `-9223372036854775808`},
		{42, "text", ""},
		{true, "boolean", `true`},
		{true, "integer", ""},
		{1.5, "double precision", `1.5`},
		{1.5, "numeric", ""},
		{at, "timestamp with time zone", `"2026-11-23 03:04:49.123456Z"`},
		{at, "timestamp without time zone", `"2026-11-23 04:05:06.123456"`},
		{at.AddDate(9000, 0, 0), "date", ""},
		{at, "text", ""},
		{[16]byte{1}, "uuid", ""},
	} {
		got, ok := stmt.Element(c.value, c.typ)
		require.Equal(t, c.want != "", ok, "%#v as %s", c.value, c.typ)
		if ok {
			require.Equal(t, c.want, got, "%#v as %s", c.value, c.typ)
		}
	}
}

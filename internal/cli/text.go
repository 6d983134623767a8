package cli

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/dustin/go-humanize"
	"golang.org/x/text/width"
)

// printable escapes what is not text: a user agent in a column may hold what a terminal obeys.
func printable(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError }) < 0 {
		return s
	}
	var out strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&out, `\x%02x`, s[0])
		case unicode.IsPrint(r):
			out.WriteRune(r)
		default:
			out.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
		s = s[size:]
	}
	return out.String()
}

// cells is how many columns of a terminal a text takes.
func cells(s string) int {
	n := 0
	for _, r := range s {
		n += runeCells(r)
	}
	return n
}

func runeCells(r rune) int {
	if unicode.In(r, unicode.Mn, unicode.Me) {
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// shorten cuts a text to so many columns of a terminal.
func shorten(s string, limit int) string {
	if cells(s) <= limit {
		return s
	}
	used := 0
	for i, r := range s {
		if used += runeCells(r); used > limit-1 {
			return s[:i] + "…"
		}
	}
	return s
}

// localTime shows a time to a person; none is "-".
func localTime(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04:05 MST")
}

// jsonTime shows a time to a program; none is null.
func jsonTime(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	s := t.UTC().Format(time.RFC3339Nano)
	return &s
}

func size(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }

// count is a number and a noun.
func count(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return humanize.Comma(n) + " " + many
}

// value shows a column's value to a person.
func value(v any) string {
	switch v := v.(type) {
	case nil:
		return "NULL"
	case string:
		return printable(v)
	case []byte:
		return fmt.Sprintf("(%s)", count(int64(len(v)), "byte", "bytes"))
	case time.Time:
		return localTime(v)
	}
	return printable(fmt.Sprint(v))
}

// jsonValue is a column's value as JSON has it: NULL is null, bytes are base64, times are RFC 3339 in UTC.
func jsonValue(v any) any {
	switch v := v.(type) {
	case []byte:
		return base64.StdEncoding.EncodeToString(v)
	case time.Time:
		return jsonTime(v)
	}
	return v
}

package stmt

import (
	"database/sql/driver"
	"encoding/hex"
	"math"
	"strconv"
	"strings"
	"time"
)

var quoting = strings.NewReplacer(`"`, `\"`, `\`, `\\`)

// Element writes a value as an element of PostgreSQL's array literals, which is how a batch hands over the values of a column
// (postgresql.org/docs/current/arrays.html#ARRAYS-IO). It reports false for what has no such form: its call goes alone.
func Element(v any, binary bool) (string, bool) {
	v, err := driver.DefaultParameterConverter.ConvertValue(v)
	if err != nil {
		return "", false
	}
	switch v := v.(type) {
	case nil:
		return "NULL", true
	case int64:
		return strconv.FormatInt(v, 10), true
	case bool:
		return strconv.FormatBool(v), true
	case float64:
		if math.IsInf(v, 0) {
			return "", false
		}
		return strconv.FormatFloat(v, 'g', -1, 64), true
	case string:
		if binary || strings.ContainsRune(v, 0) {
			return "", false
		}
		return `"` + quoting.Replace(v) + `"`, true
	case []byte:
		switch {
		case v == nil:
			return "NULL", true
		case binary:
			return `"\\x` + hex.EncodeToString(v) + `"`, true
		}
		return Element(string(v), false)
	case time.Time:
		if y := v.Year(); y < 1 || y > 9999 {
			return "", false
		}
		// Cut off like pgx does it for a lone statement; the server would round.
		return `"` + v.Truncate(time.Microsecond).Format("2006-01-02 15:04:05.999999Z07:00") + `"`, true
	}
	return "", false
}

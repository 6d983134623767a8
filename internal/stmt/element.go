package stmt

import (
	"encoding/hex"
	"math"
	"strconv"
	"strings"
	"time"
)

var quoting = strings.NewReplacer(`"`, `\"`, `\`, `\\`)

// kinds are PostgreSQL's types by what a Go value must be to go into an array of them. A value of another kind, or a type that is not
// here, goes alone: there it is the driver who decides what it comes to.
var kinds = map[string]string{
	"smallint": "number", "integer": "number", "bigint": "number", "numeric": "number", "real": "number", "double precision": "number",
	"boolean": "bool", "bytea": "bytes",
	"timestamp without time zone": "time", "timestamp with time zone": "time", "date": "time",
}

// Element writes a value as an element of PostgreSQL's array literals, which is how a batch hands over the values of a column of that type
// (postgresql.org/docs/current/arrays.html#ARRAYS-IO). It reports false for what has no such form: its call goes alone.
func Element(v any, typ string) (string, bool) {
	kind := kinds[typ]
	switch v := v.(type) {
	case nil:
		return "NULL", true
	case int:
		return strconv.Itoa(v), kind == "number"
	case int64:
		return strconv.FormatInt(v, 10), kind == "number"
	case int32:
		return strconv.FormatInt(int64(v), 10), kind == "number"
	case bool:
		return strconv.FormatBool(v), kind == "bool"
	case float64:
		if math.IsInf(v, 0) || math.IsNaN(v) {
			return "", false
		}
		return strconv.FormatFloat(v, 'g', -1, 64), typ == "double precision"
	case string:
		// As a lone statement hands it over: the type's own input function reads it.
		return `"` + quoting.Replace(v) + `"`, kind != "bytes" && strings.IndexByte(v, 0) < 0
	case []byte:
		if v == nil {
			return "NULL", true
		}
		return `"\\x` + hex.EncodeToString(v) + `"`, kind == "bytes"
	case time.Time:
		if y := v.Year(); y < 1 || y > 9999 {
			return "", false
		}
		// Cut off like pgx does it for a lone statement; the server would round.
		v = v.Truncate(time.Microsecond)
		if typ == "timestamp with time zone" {
			return `"` + v.UTC().Format("2006-01-02 15:04:05.999999Z") + `"`, true
		}
		return `"` + v.Format("2006-01-02 15:04:05.999999") + `"`, kind == "time"
	}
	return "", false
}

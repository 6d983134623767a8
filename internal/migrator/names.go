package migrator

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"entgo.io/ent/dialect"
)

// What the files call the table, and how the names of its indexes begin: ent's name for the type. MySQL's are left alone, for there
// every table has a name space of its own.
const (
	fileTable       = "sessions"
	fileIndexPrefix = "session_"
	// fileNewTable is what Atlas rebuilds a SQLite table in.
	fileNewTable = "new_" + fileTable
)

// Names of the history tables. The first is the one that the atlas command uses.
const (
	sharedHistory = "atlas_schema_revisions"
	historySuffix = "_revisions"
)

// maxName is PostgreSQL's limit for a name in bytes, the shortest of the databases'. PostgreSQL cuts off what is longer.
const maxName = 63

// names are those of one target. Two tables in one schema share neither indexes nor history.
type names struct {
	dialect       string
	schema, table string
}

func newNames(d, schema, table string) (names, error) {
	if table == "" {
		table = fileTable
	}
	n := names{d, schema, table}
	if err := checkName(schema); err != nil {
		return n, fmt.Errorf("schema %q: %w", schema, err)
	}
	if err := checkName(table); err != nil {
		return n, fmt.Errorf("table %q: %w", table, err)
	}
	if table == sharedHistory {
		return n, fmt.Errorf("table %q: the atlas command keeps its history under this name: choose another one", table)
	}
	return n, nil
}

func checkName(s string) error {
	switch {
	case len(s) > maxName:
		return fmt.Errorf("the name has %d bytes: at most %d are allowed", len(s), maxName)
	case !utf8.ValidString(s):
		return fmt.Errorf("the name is not valid UTF-8")
	case strings.ContainsRune(s, 0):
		return fmt.Errorf("the name has a NUL in it")
	}
	return nil
}

// String is the table's name as a user writes it, quoted.
func (n names) String() string { return fmt.Sprintf("%q", n.plain()) }

func (n names) plain() string {
	if n.schema == "" {
		return n.table
	}
	return n.schema + "." + n.table
}

// ownHistory is the history that no other program writes.
func (n names) ownHistory() string { return shorten(n.table + historySuffix) }

// quote quotes a name, whatever is in it.
func (n names) quote(name string) string {
	q := n.quoteChar()
	return q + strings.ReplaceAll(name, q, q+q) + q
}

func (n names) quoteChar() string {
	if n.dialect == dialect.Postgres {
		return `"`
	}
	return "`"
}

// qualify quotes a name and puts the schema before it.
func (n names) qualify(name string) string {
	if n.schema == "" {
		return n.quote(name)
	}
	return n.quote(n.schema) + "." + n.quote(name)
}

// rewrite puts the target's names into a statement of a file.
func (n names) rewrite(stmt string) string {
	if n.schema == "" && n.table == fileTable {
		return stmt
	}
	var out strings.Builder
	words := words{}
	for rest := stmt; rest != ""; {
		token := nextToken(rest, n.dialect)
		rest = rest[len(token):]
		if name, ok := n.unquote(token); ok {
			token = n.rename(name, token, words)
		}
		words.add(token)
		out.WriteString(token)
	}
	return out.String()
}

// rename returns what stands for a quoted name of a file, given the words before it.
func (n names) rename(name, token string, before words) string {
	isMySQL, isSQLite := n.dialect == dialect.MySQL, n.dialect == dialect.SQLite
	// RENAME TO takes no schema, except in MySQL, which would move the table. SQLite takes an index's schema before the index.
	bare := before.last == "TO" && !isMySQL || before.last == "ON" && isSQLite
	switch {
	case name == fileTable && bare:
		return n.quote(n.table)
	case name == fileTable:
		return n.qualify(n.table)
	case name == fileNewTable && bare:
		return n.quote(shorten("new_" + n.table))
	case name == fileNewTable:
		return n.qualify(shorten("new_" + n.table))
	case strings.HasPrefix(name, fileIndexPrefix) && !isMySQL:
		if !bare && (isSQLite || before.first != "CREATE") {
			return n.qualify(n.index(name))
		}
		return n.quote(n.index(name))
	}
	return token
}

// index is the name of an index of a file.
func (n names) index(name string) string {
	if n.dialect == dialect.MySQL || n.table == fileTable {
		return name
	}
	return shorten(n.table + "_" + name)
}

func (n names) unquote(token string) (string, bool) {
	q := n.quoteChar()
	if len(token) < 2 || token[:1] != q {
		return "", false
	}
	return strings.ReplaceAll(token[1:len(token)-1], q+q, q), true
}

// words are the first and the last word of what was read of a statement.
type words struct{ first, last string }

func (w *words) add(token string) {
	if r, _ := utf8.DecodeRuneInString(token); !unicode.IsLetter(r) {
		return
	}
	w.last = strings.ToUpper(token)
	if w.first == "" {
		w.first = w.last
	}
}

// nextToken cuts a quoted name, a string, a comment, a word or a single character from the beginning of s.
func nextToken(s, d string) string {
	switch {
	case s[0] == '\'', s[0] == '"', s[0] == '`':
		return quoted(s, s[0] != '`' && d == dialect.MySQL)
	case strings.HasPrefix(s, "--"):
		line, _, _ := strings.Cut(s, "\n")
		return line
	case strings.HasPrefix(s, "/*"):
		if end := strings.Index(s, "*/"); end >= 0 {
			return s[:end+2]
		}
		return s
	}
	end := strings.IndexFunc(s, func(r rune) bool { return !unicode.IsLetter(r) && r != '_' && !unicode.IsDigit(r) })
	switch end {
	case -1:
		return s
	case 0:
		_, size := utf8.DecodeRuneInString(s)
		return s[:size]
	}
	return s[:end]
}

// quoted cuts what stands between quotes; a doubled quote doesn't end it.
func quoted(s string, escapes bool) string {
	for i := 1; i < len(s); i++ {
		switch {
		case escapes && s[i] == '\\':
			i++
		case s[i] != s[0]:
		case i+1 < len(s) && s[i+1] == s[0]:
			i++
		default:
			return s[:i+1]
		}
	}
	return s
}

// shorten keeps a derived name within the limit, and apart from others that begin alike.
func shorten(name string) string {
	if len(name) <= maxName {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	tail := "_" + hex.EncodeToString(sum[:4])
	end := maxName - len(tail)
	for !utf8.RuneStart(name[end]) {
		end--
	}
	return name[:end] + tail
}

package sqlite

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// defaults of the driver's parameters.
var defaults = map[string]string{
	"_journal_mode": "wal",
	"_synchronous":  "full", // a commit survives the machine's death
	"_busy_timeout": "10000",
	"_foreign_keys": "on",
	"_txlock":       "immediate", // a transaction that may write takes the lock first, and never fails for a lack of it later
	"_time_format":  "sqlite",    // sortable, and what SQLite's own functions read
	"_error_rc":     "1",         // no text of another error in this one's
}

// checkpoint is how many pages the log has before they go to the file: one that is written again and again goes there less often. With the default of
// SQLite itself, 1000 pages, commits of many sessions take a fifth longer.
const checkpoint = "wal_autocheckpoint(8000)"

// checked are the PRAGMAs for which the driver has a parameter that refuses a value it does not know. SQLite itself
// ignores it.
var checked = []string{"auto_vacuum", "busy_timeout", "foreign_keys", "journal_mode", "query_only", "synchronous"}

// pragmas are the others that set something (https://www.sqlite.org/pragma.html). SQLite ignores a name that it does not
// know, so that a misspelt one would do nothing.
var pragmas = []string{
	"analysis_limit", "application_id", "automatic_index", "cache_size", "cache_spill", "cell_size_check",
	"checkpoint_fullfsync", "defer_foreign_keys", "encoding", "fullfsync", "hard_heap_limit", "ignore_check_constraints",
	"journal_size_limit", "legacy_alter_table", "locking_mode", "max_page_count", "mmap_size", "page_size",
	"read_uncommitted", "recursive_triggers", "reverse_unordered_selects", "secure_delete", "soft_heap_limit", "temp_store",
	"threads", "trusted_schema", "wal_autocheckpoint",
}

// uriParams are SQLite's own (https://www.sqlite.org/uri.html).
var uriParams = []string{"cache", "immutable", "mode", "modeof", "nolock", "psow", "vfs"}

var pragmaValue = regexp.MustCompile(`^[-+]?[A-Za-z0-9_.]+$`)

// params makes the query part of the DSN.
func params(given map[string]string) (url.Values, error) {
	query := url.Values{}
	for name, value := range defaults {
		query.Set(name, value)
	}
	for name, value := range given {
		switch {
		case name == "mode" && value == "memory":
			return nil, errors.New("mode: for a database in memory, name it \":memory:\" as the database")
		case name == "_pragma": // beside the others
			query.Add(name, value)
		case strings.HasPrefix(name, "_"), slices.Contains(uriParams, name):
			query.Set(name, value)
		case !slices.Contains(checked, name) && !slices.Contains(pragmas, name):
			return nil, fmt.Errorf("%q is no PRAGMA that sets something, and no parameter of SQLite or its driver", name)
		case !pragmaValue.MatchString(value):
			return nil, fmt.Errorf("%s: %q is no value of a PRAGMA", name, value)
		case slices.Contains(checked, name):
			if _, twice := given["_"+name]; twice {
				return nil, fmt.Errorf("%q and %q are the same: leave one out", name, "_"+name)
			}
			query.Set("_"+name, value)
		default:
			query.Add("_pragma", name+"("+value+")")
		}
	}
	if _, ok := given["wal_autocheckpoint"]; !ok && !strings.Contains(given["_pragma"], "wal_autocheckpoint") { // of two, the driver runs the one it sorts last
		query.Add("_pragma", checkpoint)
	}
	return query, nil
}

// absolute makes the path independent of what the program's working directory becomes.
func absolute(path string) (string, error) {
	switch {
	case path == "":
		return "", errors.New("database: is required: the path of a file, or \":memory:\" for one in memory")
	case strings.ContainsRune(path, 0):
		return "", errors.New("database: holds a NUL character")
	case strings.HasPrefix(path, "file:"):
		return "", fmt.Errorf("database: %q is a URI: give the path of the file, or :memory:, and the parameters as params", path)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("database: %w", err)
	}
	return abs, nil
}

// dsn is a URI, in which a path may hold any character.
func dsn(path string, query url.Values) string {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") { // Windows: C:/...
		path = "/" + path
	}
	u := url.URL{Path: path}
	return "file://" + u.EscapedPath() + "?" + query.Encode()
}

func checkCharset(charset string) error {
	switch strings.NewReplacer("-", "", "_", "").Replace(strings.ToLower(charset)) {
	case "", "utf8", "utf8mb4":
		return nil
	}
	return fmt.Errorf("charset: %q is not UTF-8, which SQLite always uses: leave it out", charset)
}

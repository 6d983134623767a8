package migrator

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"ariga.io/atlas/sql/migrate"
	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
)

// revision is a row of the history: a file that was applied, wholly or in part.
type revision struct {
	version, description string
	kind                 migrate.RevisionType
	applied, total       int
	at                   time.Time
	hash                 string
	sums                 []string // of the statements applied so far
	failure              string   // of the last attempt
}

// history is what a database has had.
type history struct {
	table     string // which table has it, or would have it
	exists    bool
	revisions map[string]revision // by version; of our files only
	others    map[string]string   // the descriptions of someone else's
}

// history reads what the database has had.
//
// It is in atlas_schema_revisions, where the atlas command looks, too. But where an application keeps its own migrations there
// already, ours would be in the way: the atlas command takes every file older than the newest revision for applied. Then, and for
// tables that are not called sessions, it is in a table of its own.
func (m *migrator) history(ctx context.Context, q dialect.ExecQuerier) (history, error) {
	own, err := m.readHistory(ctx, q, m.names.ownHistory())
	if err != nil || own.exists || m.names.table != fileTable {
		return own, err
	}
	shared, err := m.readHistory(ctx, q, sharedHistory)
	if err != nil || len(shared.others) > 0 && len(shared.revisions) == 0 {
		return own, err
	}
	return shared, nil
}

func (m *migrator) readHistory(ctx context.Context, q dialect.ExecQuerier, table string) (history, error) {
	h := history{table: table, revisions: map[string]revision{}, others: map[string]string{}}
	columns, err := m.columns(ctx, q, table)
	if err != nil || len(columns) == 0 {
		return h, err
	}
	h.exists = true
	query := fmt.Sprintf(m.sql.readHistory, m.names.qualify(table))
	err = each(ctx, q, query, nil, func(rows *entsql.Rows) error {
		var r revision
		var at, sums string
		err := rows.Scan(&r.version, &r.description, &r.kind, &r.applied, &r.total, &at, &r.hash, &sums, &r.failure)
		if err != nil {
			return err
		}
		if strings.HasPrefix(r.version, ".") { // the atlas command's own notes
			return nil
		}
		ours := slices.ContainsFunc(m.files, func(f file) bool { return f.version == r.version && f.description == r.description })
		if !ours {
			h.others[r.version] = r.description
			return nil
		}
		r.at = parseTime(at)
		if sums != "" {
			if err := json.Unmarshal([]byte(sums), &r.sums); err != nil {
				return fmt.Errorf("partial_hashes of version %s: %w", r.version, err)
			}
		}
		h.revisions[r.version] = r
		return nil
	})
	if err != nil {
		return h, fmt.Errorf("reading the history in table %q: %w", table, err)
	}
	return h, nil
}

// write records a revision, and the statement that failed if one did. It is new when the history has none of its version: then a row
// that another process has written in the meantime is an error.
func (m *migrator) write(
	ctx context.Context, q dialect.ExecQuerier, table string, r revision, took time.Duration, failed string, isNew bool,
) error {
	sums, err := json.Marshal(r.sums) // null when there are none, as the atlas command has it
	if err != nil {
		return err
	}
	query := m.sql.update
	if isNew {
		query = m.sql.insert
	}
	args := []any{
		r.description, int64(r.kind), int64(r.applied), int64(r.total), took.Nanoseconds(),
		r.failure, failed, r.hash, string(sums), m.Operator, r.version,
	}
	if err := q.Exec(ctx, fmt.Sprintf(query, m.names.qualify(table)), args, nil); err != nil {
		return fmt.Errorf("recording version %s in table %q: %w", r.version, table, err)
	}
	return nil
}

// createHistory makes the table just as the atlas command does.
func (m *migrator) createHistory(ctx context.Context, q dialect.ExecQuerier, table string) error {
	if err := q.Exec(ctx, fmt.Sprintf(m.sql.createHistory, m.names.qualify(table)), []any{}, nil); err != nil {
		return fmt.Errorf("creating table %q for the history: %w", table, err)
	}
	return nil
}

// each calls scan for every row.
func each(ctx context.Context, q dialect.ExecQuerier, query string, args []any, scan func(*entsql.Rows) error) (err error) {
	if args == nil {
		args = []any{}
	}
	var rows entsql.Rows
	if err := q.Query(ctx, query, args, &rows); err != nil {
		return err
	}
	defer func() {
		if e := rows.Close(); err == nil {
			err = e
		}
	}()
	for rows.Next() {
		if err := scan(&rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// parseTime reads seconds since 1970, or the forms in which SQLite's drivers write a time; the zero time when it is something else,
// for nothing depends on it.
func parseTime(s string) time.Time {
	if seconds, err := strconv.ParseFloat(s, 64); err == nil {
		return time.UnixMicro(int64(seconds * 1e6)).UTC()
	}
	s, _, _ = strings.Cut(s, " m=") // the monotonic clock of a printed time.Time
	for _, layout := range []string{
		"2006-01-02 15:04:05.999999999Z07:00",
		"2006-01-02 15:04:05.999999999 -0700 MST",
		"2006-01-02 15:04:05.999999999",
		time.RFC3339Nano,
	} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}

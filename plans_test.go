package entsession_test

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/internal/dbtest"
)

// TestPlans: whatever a database knows of a table, it finds a row that has an id by that, and never by reading all that live.
func TestPlans(t *testing.T) {
	t.Parallel()
	for _, kind := range slices.Concat(dbtest.Kinds(dbtest.SQLite), dbtest.Kinds(dbtest.Postgres)) {
		if kind.Name == "postgres10" {
			continue // can't be asked what it would do without the arguments
		}
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			e := newCommitEnv(t, kind, true)
			_, err := e.store.Create(t.Context(), nil) // it looks at the table
			require.NoError(t, err)
			fill := func(n int, timeout string) {
				e.exec(fmt.Sprintf(`INSERT INTO sessions (id, data, timeout, created, application, subject)
					WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
					SELECT '%s' || i, 'x', %s, 0, 'app ' || (i %% 5), 'subject ' || i FROM n`, n, strings.Repeat("k", len(timeout)), timeout))
			}
			check := func(state string, large bool) {
				for name, text := range entsession.ByID(e.store) {
					plan := e.plan(text)
					require.NotContains(t, plan, "session_application_timeout", "%s, %s: %s", state, name, text)
					require.NotContains(t, plan, "session_subject", "%s, %s: %s", state, name, text)
					if large || kind.Dialect == dbtest.SQLite {
						require.NotContains(t, plan, map[string]string{dbtest.Postgres: "Seq Scan", dbtest.SQLite: "SCAN sessions"}[kind.Dialect], "%s, %s", state, name)
						require.Contains(t, plan, map[string]string{dbtest.Postgres: "sessions_pkey", dbtest.SQLite: "(id=?)"}[kind.Dialect], "%s, %s", state, name)
					}
				}
			}
			check("new", false)
			fill(50, e.now()+" + i")
			check("a few rows", false)
			fill(20_000, "5 + i")
			check("not looked at", true)
			e.exec("ANALYZE")
			check("all of them dead", true)
			e.exec("UPDATE sessions SET timeout = timeout + " + e.now())
			check("and live again, which it does not know", true)
			e.exec("ANALYZE")
			check("which it does", true)
		})
	}
}

var parameter = regexp.MustCompile(`\$(\d+)`)

// plan is what the database does with a statement, whatever its arguments are.
func (e *commitEnv) plan(text string) string {
	e.Helper()
	conn, err := e.db.Conn(context.Background())
	require.NoError(e, err)
	defer conn.Close()
	explain := "EXPLAIN QUERY PLAN " + text
	args := make([]any, strings.Count(text, "?"))
	if e.kind.Dialect == dbtest.Postgres {
		numbers := map[string]bool{}
		for _, m := range parameter.FindAllStringSubmatch(text, -1) {
			numbers[m[1]] = true
		}
		nulls := strings.TrimSuffix(strings.Repeat("NULL, ", len(numbers)), ", ")
		require.True(e, numbers[strconv.Itoa(len(numbers))], "%v", slices.Collect(maps.Keys(numbers)))
		for _, before := range []string{"SET plan_cache_mode = force_generic_plan", "PREPARE planned AS " + text} {
			_, err := conn.ExecContext(context.Background(), before)
			require.NoError(e, err, text)
		}
		defer func() {
			_, err := conn.ExecContext(context.Background(), "DEALLOCATE planned")
			require.NoError(e, err)
		}()
		explain, args = "EXPLAIN EXECUTE planned("+nulls+")", nil
	}
	rows, err := conn.QueryContext(context.Background(), explain, args...)
	require.NoError(e, err, text)
	defer rows.Close()
	var plan strings.Builder
	for rows.Next() {
		columns, err := rows.Columns()
		require.NoError(e, err)
		row := make([]sql.NullString, len(columns))
		dest := make([]any, len(columns))
		for i := range row {
			dest[i] = &row[i]
		}
		require.NoError(e, rows.Scan(dest...))
		plan.WriteString(row[len(row)-1].String + "\n")
	}
	require.NoError(e, rows.Err())
	return plan.String()
}

// TestTimeoutAsText: SQLite compares a column as what it was declared, and those conditions must too.
func TestTimeoutAsText(t *testing.T) {
	t.Parallel()
	for _, alone := range []bool{true, false} {
		t.Run(fmt.Sprintf("alone=%v", alone), func(t *testing.T) {
			t.Parallel()
			e := newCommitEnv(t, dbtest.Kinds(dbtest.SQLite)[0], alone)
			e.exec("DROP TABLE sessions")
			e.exec("CREATE TABLE sessions (id char(72) PRIMARY KEY, data text, timeout varchar(20) NOT NULL)")
			e.store = e.open(nil)
			s, err := e.store.Create(t.Context(), []byte("x"))
			require.NoError(t, err)
			require.Equal(t, "x", string(e.load(s.ID()).Data))
			require.NoError(t, e.store.Delete(t.Context(), s.ID()))
			_, err = e.store.Load(t.Context(), s.ID())
			require.ErrorIs(t, err, entsession.ErrNotFound)
			n, err := e.store.Count(t.Context())
			require.NoError(t, err)
			require.Zero(t, n)
		})
	}
}

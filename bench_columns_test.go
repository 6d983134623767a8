package entsession_test

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	entsql "entgo.io/ent/dialect/sql"
	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/ent/session"
	"github.com/entsession/entsession/internal/dbtest"
	"github.com/entsession/entsession/internal/stmt"
)

// What columns of the application's cost: three of them (an indexed bigint, a varchar and a timestamp) beside none, on two tables of one database
// that are otherwise alike. The two take turns, as in bench_test.go, and the ratio is that of the time with them to the time without.

func BenchmarkColumns(b *testing.B) {
	for _, kind := range benchKinds() {
		for _, callers := range []int{1, 64} {
			name := fmt.Sprintf("%s/callers=%d/", kind.Name, callers)
			b.Run(name+"load", func(b *testing.B) { benchColumns(b, kind, callers, (*columned).load) })
			b.Run(name+"save", func(b *testing.B) { benchColumns(b, kind, callers, (*columned).save) })
			// The indexed column changes with every save, and its index with it: what that costs is the database's.
			b.Run(name+"move", func(b *testing.B) { benchColumns(b, kind, callers, (*columned).move) })
		}
	}
}

func benchKinds() (kinds []dbtest.Kind) {
	for _, kind := range dbtest.Kinds() {
		if kind.Name == "postgres15" || kind.Name == "mariadb" || kind.Name == "sqlite" {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// columned is a store whose table has the columns, or has them not.
type columned struct {
	ctx      context.Context
	store    *entsession.Store
	with     bool
	sessions []*entsession.Session
	n        atomic.Int64
}

func benchColumns(b *testing.B, kind dbtest.Kind, callers int, call func(*columned, *entsession.Session) error) {
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	db := kind.New(b)
	open := func(table string) *columned {
		cfg := storeConfig(kind, db)
		cfg.Table = table
		store, err := entsession.Open(ctx, cfg)
		require.NoError(b, err)
		b.Cleanup(func() { require.NoError(b, store.Close()) })
		require.NoError(b, store.Migrate(ctx))
		return &columned{ctx: ctx, store: store, with: table != "sessions"}
	}
	none, three := open("sessions"), open("columned")
	admin := db.Admin(b)
	for _, text := range []string{
		"ALTER TABLE columned ADD COLUMN user_id bigint", "ALTER TABLE columned ADD COLUMN device varchar(40)",
		"ALTER TABLE columned ADD COLUMN seen " + map[string]string{dbtest.Postgres: "timestamptz", dbtest.MySQL: "datetime(6)", dbtest.SQLite: "datetime"}[kind.Dialect],
		"CREATE INDEX columned_user ON columned (user_id)",
	} {
		_, err := admin.ExecContext(ctx, text)
		require.NoError(b, err)
	}
	for _, c := range []*columned{none, three} {
		for i := range benchRows {
			s, err := c.store.Create(ctx, []byte(strings.Repeat("x", benchPayload)), c.columns(int64(i))...)
			require.NoError(b, err)
			c.sessions = append(c.sessions, s)
		}
	}
	each := turn
	if callers > 1 {
		each = 8
	}
	turnOf := func(c *columned) float64 {
		start := time.Now()
		var wg sync.WaitGroup
		for i := range callers {
			wg.Go(func() {
				for range each {
					// Of its own: whoever comes second to a session would be refused.
					s := c.sessions[i+callers*rand.IntN(benchRows/callers)]
					if err := call(c, s); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		return float64(time.Since(start).Nanoseconds()) / float64(callers*each)
	}
	turnOf(none)
	turnOf(three)
	var without, with, ratios []float64
	for b.Loop() {
		a, z := turnOf(three), turnOf(none)
		with, without, ratios = append(with, a), append(without, z), append(ratios, a/z)
	}
	b.ReportMetric(0, "ns/op") // of both together: says nothing
	b.ReportMetric(quantile(without, 0.5), "without-ns")
	b.ReportMetric(quantile(with, 0.5), "with-ns")
	b.ReportMetric(quantile(with, 0.5)/quantile(without, 0.5), "ratio")
	b.ReportMetric(quantile(with, 0.1)/quantile(without, 0.1), "ratio-of-p10") // what other work on the machine disturbs least
	b.ReportMetric(quantile(ratios, 0.25), "ratio-p25")
	b.ReportMetric(quantile(ratios, 0.75), "ratio-p75")
}

// storeConfig is a store on a database of a benchmark's, over the socket.
func storeConfig(kind dbtest.Kind, db *dbtest.DB) entsession.Config {
	cfg := entsession.Config{
		Driver:   map[string]string{dbtest.Postgres: "postgres", dbtest.MySQL: "mysql", dbtest.SQLite: "sqlite"}[kind.Dialect],
		Database: db.Name, Username: db.User, Password: db.Password, Hostname: db.Socket, DisableAutopurge: true,
	}
	if kind.Dialect == dbtest.Postgres {
		cfg.Port = db.Port // names the socket's file
	}
	if kind.Dialect == dbtest.SQLite {
		cfg.Database, cfg.Hostname = db.File, ""
	}
	return cfg
}

func (c *columned) columns(user int64) []entsession.Column {
	if !c.with {
		return nil
	}
	n := c.n.Add(1)
	return []entsession.Column{
		entsession.Set("user_id", user), entsession.Set("device", fmt.Sprint("phone number ", n)),
		entsession.Set("seen", time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(n)*time.Second)),
	}
}

func (c *columned) load(s *entsession.Session) error {
	_, err := c.store.Load(c.ctx, s.ID())
	return err
}

func (c *columned) save(s *entsession.Session) error {
	user := int64(0)
	if v, ok := s.Get("user_id"); ok {
		user = v.(int64)
	}
	return c.write(s, user)
}

func (c *columned) move(s *entsession.Session) error { return c.write(s, rand.Int64()) }

func (c *columned) write(s *entsession.Session, user int64) error {
	copy(s.Data, fmt.Sprintf("%020d", rand.Int64()))
	return c.store.Save(c.ctx, s, c.columns(user)...)
}

// BenchmarkList is the list of the ten sessions of a subject, among ten thousand and among a million.
func BenchmarkList(b *testing.B) {
	for _, kind := range benchKinds() {
		for _, rows := range []int{10_000, 1_000_000} {
			b.Run(fmt.Sprintf("%s/rows=%d", kind.Name, rows), func(b *testing.B) {
				db := kind.New(b)
				store, err := entsession.Open(b.Context(), storeConfig(kind, db))
				require.NoError(b, err)
				b.Cleanup(func() { require.NoError(b, store.Close()) })
				require.NoError(b, store.Migrate(b.Context()))
				fillSubjects(b, db, rows)
				for _, line := range listPlan(b, db, kind, fmt.Sprint(rows/20)) {
					b.Log(line)
				}
				var times []float64
				for b.Loop() {
					start := time.Now()
					require.Equal(b, 10, length(b, store.List(b.Context(), session.Subject(fmt.Sprint(rand.IntN(rows/10))))))
					times = append(times, float64(time.Since(start).Nanoseconds()))
				}
				b.ReportMetric(quantile(times, 0.5), "median-ns")
				b.ReportMetric(quantile(times, 0.25), "p25-ns")
				b.ReportMetric(quantile(times, 0.75), "p75-ns")
			})
		}
	}
}

// TestListPlan: a subject's sessions are found by the index, and read by their ids, on every database.
func TestListPlan(t *testing.T) {
	t.Parallel()
	for _, kind := range benchKinds() {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			db := kind.New(t)
			store, err := entsession.Open(t.Context(), storeConfig(kind, db))
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, store.Close()) })
			require.NoError(t, store.Migrate(t.Context()))
			const rows = 20_000
			fillSubjects(t, db, rows)
			require.Equal(t, 10, length(t, store.List(t.Context(), session.Subject("77"))))
			plan := listPlan(t, db, kind, "77")
			t.Log(strings.Join(plan, "\n"))
			switch kind.Dialect {
			case dbtest.Postgres:
				require.Regexp(t, `Index (Only )?Scan (using|on) session\w*_subject`, plan[0])
				require.Regexp(t, `Index Scan (using|on) (session\w*_pkey|session\w*_subject)`, plan[1])
				require.NotContains(t, strings.Join(plan, ""), "Seq Scan")
			case dbtest.MySQL:
				require.Regexp(t, `type=ref key=session\w*_subject`, plan[0])
				require.Regexp(t, `type=(range|ref) key=(PRIMARY|session\w*_subject)`, plan[1])
			default:
				require.Regexp(t, `^SEARCH sessions USING (COVERING )?INDEX session\w*_subject`, plan[0])
				require.Regexp(t, `^SEARCH sessions USING INDEX (sqlite_autoindex_sessions_1|session\w*_subject)`, plan[1])
			}
		})
	}
}

func length(t testing.TB, all iter.Seq2[*entsession.Session, error]) (n int) {
	for _, err := range all {
		require.NoError(t, err)
		n++
	}
	return n
}

// fillSubjects makes rows, ten for each subject, which are numbers.
func fillSubjects(t testing.TB, db *dbtest.DB, rows int) {
	admin := db.Admin(t)
	from := map[string]string{
		dbtest.Postgres: fmt.Sprintf("(SELECT generate_series(1, %d) AS n) AS numbers", rows),
		dbtest.MySQL:    fmt.Sprintf("(SELECT seq AS n FROM seq_1_to_%d) AS numbers", rows),
		dbtest.SQLite:   fmt.Sprintf("(WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < %d) SELECT n FROM c) AS numbers", rows),
	}[db.Kind.Dialect]
	// Ids and subjects in no order.
	texts := map[string]string{
		dbtest.Postgres: "md5(n::text), repeat('x', 200), 2000000000 + n %% 1000, ((n::bigint * 7919) %% %d)::text",
		dbtest.MySQL:    "MD5(n), REPEAT('x', 200), 2000000000 + n %% 1000, CAST((n * 7919) %% %d AS CHAR)",
		dbtest.SQLite:   "printf('%%010d', (n * 7919) %% 1000003), printf('%%.200c', 'x'), 2000000000 + n %% 1000, CAST((n * 7919) %% %d AS TEXT)",
	}
	text := fmt.Sprintf(texts[db.Kind.Dialect], rows/10)
	_, err := admin.ExecContext(t.Context(), "INSERT INTO sessions (id, data, timeout, subject) SELECT "+text+" FROM "+from)
	require.NoError(t, err)
	if db.Kind.Dialect == dbtest.SQLite { // whose statistics are made by those only who ask for them
		return
	}
	analyze := "ANALYZE sessions"
	if db.Kind.Dialect == dbtest.MySQL {
		analyze = "ANALYZE TABLE sessions"
	}
	_, err = admin.ExecContext(t.Context(), analyze) // as autovacuum does
	require.NoError(t, err)
}

// listPlan explains the two statements of a List: for the keys, and for the rows. A line for each.
func listPlan(t testing.TB, db *dbtest.DB, kind dbtest.Kind, subject string) (plan []string) {
	table := &stmt.Table{Dialect: kind.Dialect, Name: "sessions"}
	require.NoError(t, table.Describe([]string{"id", "data", "timeout", "version", "created", "application", "subject"}))
	set := stmt.New(table, stmt.Policy{Expiration: 1800, Touch: 60})
	where := []func(*entsql.Selector){session.Subject(subject)}
	text, args, err := set.Keys("", where)
	require.NoError(t, err)
	plan = append(plan, explain(t, db, text, args))
	admin := db.Admin(t)
	var keys []string
	rows, err := admin.QueryContext(t.Context(), text, args...)
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		var key string
		require.NoError(t, rows.Scan(&key))
		keys = append(keys, strings.TrimSpace(key))
	}
	require.NoError(t, rows.Err())
	text, args, err = set.ByKey("", keys, where)
	require.NoError(t, err)
	return append(plan, explain(t, db, text, args))
}

func explain(t testing.TB, db *dbtest.DB, text string, args []any) string {
	prefix := map[string]string{dbtest.SQLite: "EXPLAIN QUERY PLAN "}[db.Kind.Dialect]
	if prefix == "" {
		prefix = "EXPLAIN "
	}
	rows, err := db.Admin(t).QueryContext(t.Context(), prefix+text, args...)
	require.NoError(t, err)
	defer rows.Close()
	names, err := rows.Columns()
	require.NoError(t, err)
	var lines []string
	for rows.Next() {
		values, targets := make([]any, len(names)), make([]any, len(names))
		for i := range values {
			targets[i] = &values[i]
		}
		require.NoError(t, rows.Scan(targets...))
		by := map[string]string{}
		for i, name := range names {
			by[name] = fmt.Sprintf("%s", values[i])
		}
		switch db.Kind.Dialect {
		case dbtest.MySQL:
			lines = append(lines, fmt.Sprintf("type=%s key=%s rows=%s %s", by["type"], by["key"], by["rows"], by["Extra"]))
		case dbtest.SQLite:
			lines = append(lines, by["detail"])
		default:
			lines = append(lines, by["QUERY PLAN"])
		}
	}
	require.NoError(t, rows.Err())
	return strings.Join(lines, "; ")
}

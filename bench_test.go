package entsession_test

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/internal/dbtest"
	"github.com/entsession/entsession/internal/stmt"
)

// The benchmarks put a lone call beside the raw statement: the same text, on database/sql and the same driver with the same
// settings, nothing of ours around it. The two take turns, a few calls each, so that a noisy machine disturbs both alike. They report
// the median time of each, and the ratio of the medians with the range of the middle half of the turns' ratios.

const (
	benchRows    = 1000
	benchPayload = 512
	turn         = 20 // calls
)

func BenchmarkLoad(b *testing.B) {
	sideBySide(b, func(f *fixture, i int) { f.load(i) }, func(f *fixture, i int) { f.rawLoad(i) })
}

func BenchmarkSave(b *testing.B) {
	sideBySide(b, func(f *fixture, i int) { f.save(i) }, func(f *fixture, i int) { f.rawSave(i) })
}

// BenchmarkMix is one save after every four loads.
func BenchmarkMix(b *testing.B) {
	sideBySide(b,
		func(f *fixture, i int) {
			if i%5 == 4 {
				f.save(i)
			} else {
				f.load(i)
			}
		},
		func(f *fixture, i int) {
			if i%5 == 4 {
				f.rawSave(i)
			} else {
				f.rawLoad(i)
			}
		})
}

func sideBySide(b *testing.B, ours, raw func(*fixture, int)) {
	for _, kind := range dbtest.Kinds() {
		b.Run(kind.Name, func(b *testing.B) {
			f := newFixture(b, kind)
			var mine, theirs, ratios []float64
			n := 0
			for b.Loop() {
				a := timed(func() { ours(f, n) })
				z := timed(func() { raw(f, n) })
				mine, theirs, ratios = append(mine, a), append(theirs, z), append(ratios, a/z)
				n++
			}
			b.ReportMetric(0, "ns/op") // of both together: says nothing
			b.ReportMetric(quantile(mine, 0.5), "store-ns")
			b.ReportMetric(quantile(theirs, 0.5), "raw-ns")
			b.ReportMetric(quantile(mine, 0.5)/quantile(theirs, 0.5), "ratio")
			b.ReportMetric(quantile(ratios, 0.25), "ratio-p25")
			b.ReportMetric(quantile(ratios, 0.75), "ratio-p75")
		})
	}
}

func timed(f func()) float64 {
	start := time.Now()
	for range turn {
		f()
	}
	return float64(time.Since(start).Nanoseconds()) / turn
}

func quantile(v []float64, q float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[int(q*float64(len(v)-1))]
}

type fixture struct {
	b        *testing.B
	ctx      context.Context
	store    *entsession.Store
	sessions []*entsession.Session
	db       *sql.DB
	set      *stmt.Set
	keys     []string
	versions map[string]int64
	payload  []byte
}

func newFixture(b *testing.B, kind dbtest.Kind) *fixture {
	// Cancellable, as every request's context is: what that costs a driver is the same on both sides.
	ctx, cancel := context.WithCancel(context.Background())
	b.Cleanup(cancel)
	db := kind.New(b)
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
	f := &fixture{b: b, ctx: ctx, versions: map[string]int64{}, payload: []byte(strings.Repeat("x", benchPayload))}
	var err error
	f.store, err = entsession.Open(ctx, cfg)
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, f.store.Close()) })
	require.NoError(b, f.store.Migrate(ctx))

	f.db, err = sql.Open(rawDSN(kind, db))
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, f.db.Close()) })

	table := &stmt.Table{Dialect: kind.Dialect, Name: "sessions"}
	require.NoError(b, table.Describe([]string{"id", "data", "timeout", "version", "created", "application", "subject"}))
	f.set = stmt.New(table, stmt.Policy{Expiration: 1800, Touch: 60})
	for range benchRows {
		s, err := f.store.Create(ctx, f.payload)
		require.NoError(b, err)
		f.sessions = append(f.sessions, s)
		raw, err := f.store.Create(ctx, f.payload) // rows of its own, or the guards would meet
		require.NoError(b, err)
		f.versions[raw.Key()] = 0
	}
	for key := range f.versions {
		var v int64
		var skip any
		require.NoError(b, f.db.QueryRowContext(ctx, f.set.Load, key, "").Scan(&skip, &skip, &v, &skip, &skip))
		f.versions[key] = v
		f.keys = append(f.keys, key)
	}
	return f
}

// rawDSN opens the plain driver with the settings that the store uses, over the same socket.
func rawDSN(kind dbtest.Kind, db *dbtest.DB) (driver, dsn string) {
	switch kind.Dialect {
	case dbtest.Postgres:
		return "pgx", fmt.Sprintf("host=%s port=%d user=%s password=%s dbname=%s", db.Socket, db.Port, db.User, db.Password, db.Name)
	case dbtest.MySQL:
		return "mysql", fmt.Sprintf("%s:%s@unix(%s)/%s?interpolateParams=true&clientFoundRows=true", db.User, db.Password, db.Socket, db.Name)
	}
	return "sqlite", "file:" + db.File + "?_txlock=immediate&_pragma=busy_timeout(10000)&_pragma=journal_mode(wal)&_pragma=synchronous(full)"
}

func (f *fixture) load(int) {
	_, err := f.store.Load(f.ctx, f.sessions[rand.IntN(benchRows)].ID())
	f.check(err)
}

func (f *fixture) save(i int) {
	s := f.sessions[rand.IntN(benchRows)]
	s.Data = f.changed(s.Data, i)
	f.check(f.store.Save(f.ctx, s))
}

func (f *fixture) rawLoad(int) {
	var data []byte
	var timeout, version, created int64
	var subject sql.NullString
	f.check(f.db.QueryRowContext(f.ctx, f.set.Load, f.keys[rand.IntN(benchRows)], "").Scan(&data, &timeout, &version, &created, &subject))
}

func (f *fixture) rawSave(i int) {
	key, next := f.keys[rand.IntN(benchRows)], rand.Int64()
	f.payload = f.changed(f.payload, i)
	args := []any{string(f.payload), next, key, "", f.versions[key]}
	if f.set.Table.Dialect == dbtest.MySQL {
		res, err := f.db.ExecContext(f.ctx, f.set.Save(nil), args...)
		f.check(err)
		_, err = res.LastInsertId()
		f.check(err)
	} else {
		var timeout int64
		f.check(f.db.QueryRowContext(f.ctx, f.set.Save(nil), args...).Scan(&timeout))
	}
	f.versions[key] = next
}

// changed is a payload of the same size and other content.
func (f *fixture) changed(data []byte, i int) []byte {
	copy(data, fmt.Sprintf("%020d", i))
	return data
}

func (f *fixture) check(err error) {
	if err != nil {
		f.b.Fatal(err)
	}
}

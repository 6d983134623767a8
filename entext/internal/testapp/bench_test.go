package testapp

import (
	"fmt"
	"sort"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	v2 "github.com/entsession/entsession/entext/internal/testapp/rolling/v2"
	"github.com/entsession/entsession/entext/internal/testapp/rolling/v2/session"
	"github.com/entsession/entsession/internal/dbtest"
)

// BenchmarkTyped is what the typed store adds to a Load of four columns, one of them JSON, beside that of the store below. They take turns, so that other
// work on the machine disturbs both alike.
func BenchmarkTyped(b *testing.B) {
	for _, kind := range dbtest.Kinds() {
		if kind.Dialect == dbtest.Postgres && kind.Name != "postgres15" {
			continue
		}
		b.Run(kind.Name, func(b *testing.B) {
			a := &app{db: kind.New(b)}
			a.pool = a.db.Admin(b)
			if kind.Dialect == dbtest.SQLite {
				a.pool.SetMaxOpenConns(1)
				a.exec(b, "PRAGMA foreign_keys = 1")
			}
			client := v2.NewClient(v2.Driver(a.driver()))
			migrate(b, client.Schema.Create)
			sessions, err := v2.NewSessionStore(a.open(b, session.Table), client)
			require.NoError(b, err)
			columns := func(n int) []session.Column {
				return []session.Column{session.SetDevice(fmt.Sprint("phone ", n)), session.SetVisits(n), session.SetTrust(n), session.SetRoles([]string{"admin"})}
			}
			s, err := sessions.Create(ctx, make([]byte, 512), columns(0)...)
			require.NoError(b, err)
			below, err := sessions.Untyped().Load(ctx, s.ID())
			require.NoError(b, err)
			const turn = 20
			times := map[string][]float64{}
			take := func(name string, call func() error) {
				start := time.Now()
				for range turn {
					require.NoError(b, call())
				}
				times[name] = append(times[name], float64(time.Since(start).Nanoseconds())/turn)
			}
			for b.Loop() {
				take("typed-load", func() error { _, err := sessions.Load(ctx, s.ID()); return err })
				take("load", func() error { _, err := sessions.Untyped().Load(ctx, below.ID()); return err })
			}
			b.ReportMetric(0, "ns/op")
			for name, all := range times {
				sort.Float64s(all)
				b.ReportMetric(all[len(all)/2], name+"-ns")
			}
		})
	}
}

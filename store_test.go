package entsession_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/internal/conformance"
	"github.com/entsession/entsession/internal/dbtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(dbtest.Runner(m)) }

// TestStore runs every promise on every database: with every call in a batch, be it the only one, and with every call alone; and as it is
// by default, where it depends on who else calls, those in which someone else does.
func TestStore(t *testing.T) {
	modes := []conformance.Mode{
		{Name: "together", Opened: entsession.Together},
		{Name: "alone", Change: func(c *entsession.Config) { c.DisableBatching = true }},
		{Name: "default", Crowded: true},
	}
	for _, kind := range dbtest.Kinds() {
		for _, mode := range modes {
			if mode.Name == "alone" && kind.Dialect == dbtest.Postgres && kind.Name != "postgres15" {
				continue // these statements are among those of the default
			}
			if mode.Name == "together" && kind.Name == "postgres18" {
				mode = conformance.Mode{Name: "pipelined", Opened: entsession.Pipelined}
			}
			t.Run(kind.Name+"/"+mode.Name, func(t *testing.T) {
				t.Parallel()
				conformance.Run(t, kind, mode)
			})
		}
	}
}

// TestMigrateHelper is a process of the suite's MigrateTogether.
func TestMigrateHelper(t *testing.T) { conformance.MigrateHelper(t) }

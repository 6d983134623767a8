package entsession_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/entsession/entsession/internal/conformance"
	"github.com/entsession/entsession/internal/dbtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(dbtest.Runner(m)) }

// TestStore runs every promise on every database.
func TestStore(t *testing.T) {
	for _, kind := range dbtest.Kinds() {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			conformance.Run(t, kind)
		})
	}
}

// TestMigrateHelper is a process of the suite's MigrateTogether.
func TestMigrateHelper(t *testing.T) { conformance.MigrateHelper(t) }

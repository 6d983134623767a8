package torture

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/internal/dbtest"
)

// TestTopologies is the campaign in short on what is more than one server. As TestCampaign it runs one after the other.
func TestTopologies(t *testing.T) {
	for _, topology := range []struct {
		name   string
		faults []string
	}{
		{"pgbouncer", []string{"kill pooler", "restart server", "take answers", "terminate connections"}},
		{"replica", []string{"fail over", "misdirect", "read only", "kill standby"}},
		{"galera", []string{"kill node", "pause node", "reset connections"}},
	} {
		t.Run(topology.name, func(t *testing.T) {
			target, err := Open(topology.name)
			if errors.Is(err, dbtest.ErrMissing) && os.Getenv(dbtest.RequireEnv) != "1" {
				t.Skip(err)
			}
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, target.Close()) })
			r, err := Run(context.Background(), Options{
				Target: target, Clients: 2, Local: 1, Workers: 12, Sessions: 60, Seed: seed(t), Faults: topology.faults,
				Log: lines{t}, Every: time.Minute, Stderr: os.Stderr,
			})
			require.NoError(t, err)
			require.Empty(t, r.Violations)
			for _, f := range topology.faults {
				require.Equal(t, 1, r.Faults[f], f)
			}
			requireTried(t, r)
		})
	}
}

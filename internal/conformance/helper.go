package conformance

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
)

const helperVar = "ENTSESSION_TEST_HELPER"

// where is the part of a configuration that a helper process needs.
type where struct {
	Driver, Database, Username, Password, Hostname string
	Port                                           int
}

func helperEnv(t *testing.T, c entsession.Config) []string {
	text, err := json.Marshal(where{c.Driver, c.Database, c.Username, c.Password, c.Hostname, c.Port})
	require.NoError(t, err)
	return []string{helperVar + "=" + string(text)}
}

// MigrateHelper is what a process of testMigrateTogether runs, as the test TestMigrateHelper of the package that runs the suite. In
// an ordinary run it does nothing.
func MigrateHelper(t *testing.T) {
	text, ok := os.LookupEnv(helperVar)
	if !ok {
		return
	}
	var w where
	require.NoError(t, json.Unmarshal([]byte(text), &w))
	store, err := entsession.Open(ctx, entsession.Config{
		Driver: w.Driver, Database: w.Database, Username: w.Username, Password: w.Password, Hostname: w.Hostname, Port: w.Port,
	})
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	require.NoError(t, store.Migrate(ctx))
	_, err = store.Create(ctx, []byte("x"))
	require.NoError(t, err)
}

// Package topology tries the store on databases that are more than one server: PostgreSQL behind PgBouncer and with a standby, and a Galera
// cluster. What the campaign of internal/torture meets there by chance, it does on purpose.
package topology

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/internal/conformance"
	"github.com/entsession/entsession/internal/dbtest"
	"github.com/entsession/entsession/internal/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(dbtest.Runner(m)) }

// TestPgBouncer runs the promises behind a pooler that gives each transaction any server connection, those in which many call at a time.
func TestPgBouncer(t *testing.T) {
	t.Parallel()
	pooler := dbtest.Kinds(dbtest.Postgres)[0].Start(t).PgBouncer(t)
	conformance.Run(t, pooler.AsKind(), conformance.Mode{Name: "pgbouncer", Crowded: true, Change: func(c *entsession.Config) {
		if !pooler.Prepares() {
			c.Params = map[string]string{"default_query_exec_mode": "exec"}
		}
	}})
}

// TestPgBouncerUnprepared shows what it looks like when nobody tells pgx that the pooler does not know prepared statements.
func TestPgBouncerUnprepared(t *testing.T) {
	t.Parallel()
	var settings []dbtest.Option
	server := dbtest.Kinds(dbtest.Postgres)[0].Start(t)
	if server.PgBouncer(t).Prepares() {
		settings = append(settings, dbtest.Setting("max_prepared_statements", "0"))
	}
	db := server.PgBouncer(t, settings...).New(t)
	open := func(mode string) *entsession.Store {
		store, err := entsession.Open(t.Context(), entsession.Config{
			Database: db.Name, Username: db.User, Password: db.Password, Hostname: db.Host, Port: db.Port,
			Params: map[string]string{"sslmode": "disable", "default_query_exec_mode": mode},
		})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, store.Close()) })
		return store
	}
	require.NoError(t, open("exec").Migrate(t.Context()))
	load := func(mode string) error {
		_, err := open(mode).Load(context.Background(), "cHkRcNBJPTYhCyDqZyEzDnHrXPHnqsJBfKaZVCqwKY0")
		return err
	}
	for _, mode := range []string{"exec", "cache_describe", "describe_exec", "simple_protocol"} {
		for range 2 {
			require.ErrorIs(t, load(mode), entsession.ErrNotFound, mode)
		}
	}
	err := load("cache_statement")
	if err == nil || fault.Of(err) == fault.Other {
		err = load("cache_statement") // of another client, that has prepared the same
	}
	require.Equal(t, fault.StalePlan, fault.Of(err), err)
	t.Log(err)
}

// Package postgres makes connections to PostgreSQL, through pgx. It comes with package entsession: there is no need to
// import it.
//
// It also serves what speaks PostgreSQL's protocol: PgBouncer, Citus, CockroachDB, YugabyteDB. Behind a PgBouncer that
// keeps no prepared statements (max_prepared_statements = 0) give it the parameter default_query_exec_mode=exec.
//
// The settings become pgx's connection string (settings.go), connector.go and conn.go make connections of it, and internal/guard
// watches over them.
package postgres

import (
	"database/sql/driver"
	"fmt"

	"github.com/entsession/entsession/internal/backend"
	"github.com/entsession/entsession/internal/guard"
)

func init() {
	backend.Register(backend.Backend{
		Name:         "postgres",
		Dialect:      "postgres",
		Import:       "github.com/entsession/entsession/postgres",
		MaxOpenConns: 16,
		Connector:    Connector,
	})
}

// Connector makes the connector of a pool. It connects to nothing, but reads the files that the settings name, such as
// certificates and ~/.pgpass.
//
// What the settings leave open comes from libpq's environment variables (PGUSER, PGSSLMODE, PGSERVICE and so on), and
// then from defaults: the user running the program, port 5432, connect_timeout=5 (seconds, for each host),
// application_name=entsession and target_session_attrs=primary or, when there are several hosts, read-write: a standby
// would answer reads from the past. A host may have a port of its own, as in "db1:5433,db2".
//
// Params takes libpq's parameters, pgx's (default_query_exec_mode, statement_cache_capacity, description_cache_capacity),
// and the server's, such as statement_timeout. The charset of the connection is always UTF-8.
func Connector(s backend.Settings) (driver.Connector, error) {
	config, err := configure(s)
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	return guard.New(newConnector(config), guard.Options{
		Target:         target(config),
		OnConnect:      s.OnConnect,
		CheckThreshold: s.CheckThreshold,
	}), nil
}

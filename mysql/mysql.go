// Package mysql makes connections to MySQL and MariaDB, through go-sql-driver/mysql. A program that keeps its sessions
// there imports it:
//
//	import _ "github.com/entsession/entsession/mysql"
//
// The settings become the driver's configuration (settings.go), galera.go is for clusters, errors.go tells package fault how to read its errors, and
// internal/guard watches over the connections.
package mysql

import (
	"database/sql/driver"
	"fmt"

	"github.com/go-sql-driver/mysql"

	"github.com/entsession/entsession/internal/backend"
	"github.com/entsession/entsession/internal/guard"
)

func init() {
	backend.Register(backend.Backend{
		Name:         "mysql",
		Dialect:      "mysql",
		Import:       "github.com/entsession/entsession/mysql",
		MaxOpenConns: 16,
		Connector:    Connector,
	})
}

// Connector makes the connector of a pool. It connects to nothing.
//
// Defaults: the user running the program, port 3306, utf8mb4, timeout=5s for a connection to be made, and a strict
// sql_mode, so that a value that does not fit is an error and is never cut. A hostname that begins with a slash is the
// path of a unix socket.
//
// On a node of a Galera cluster, wsrep_sync_wait is set to 7 (and what the server has anyway), unless Params has it: each statement waits until the
// node has all that was committed at others before.
//
// Params takes the parameters of the driver's DSN, such as tls, and the server's system variables, whose values are SQL:
// {"wait_timeout": "600", "sql_mode": "'ANSI,STRICT_ALL_TABLES'"}.
func Connector(s backend.Settings) (driver.Connector, error) {
	config, err := configure(s)
	if err != nil {
		return nil, fmt.Errorf("mysql: %w", err)
	}
	inner, err := mysql.NewConnector(config)
	if err != nil {
		return nil, fmt.Errorf("mysql: params: %w", err)
	}
	return guard.New(&connector{inner, gives(s.Params, "wsrep_sync_wait")}, guard.Options{
		EndByStatement: true,
		Target:         fmt.Sprintf("MySQL database %q at %s as %q", config.DBName, config.Addr, config.User),
		OnConnect:      s.OnConnect,
		CheckThreshold: s.CheckThreshold,
		ConnectTimeout: config.Timeout, // the driver's own ends once the network connection is made
	}), nil
}

// Package sqlite opens SQLite files, through modernc.org/sqlite, which needs no C compiler. A program that keeps its
// sessions in a file imports it:
//
//	import _ "github.com/entsession/entsession/sqlite"
//
// The settings become the driver's DSN (dsn.go), file.go opens a file, memory.go a database in memory, and internal/guard
// watches over the connections.
package sqlite

import (
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/entsession/entsession/internal/backend"
	"github.com/entsession/entsession/internal/guard"
)

func init() {
	backend.Register(backend.Backend{
		Name:         "sqlite",
		Dialect:      "sqlite3",
		Import:       "github.com/entsession/entsession/sqlite",
		MaxOpenConns: 4,
		Connector:    Connector,
	})
}

// Connector makes the connector of a pool. It opens nothing.
//
// Database is the file, which is created when it is missing; its directory is not. ":memory:" is a database in memory
// that the pool's connections share, and that ends with the pool.
//
// Params are PRAGMAs by their names, such as {"synchronous": "extra"}, SQLite's URI parameters (mode, cache, vfs and so
// on), and the driver's own, which begin with an underscore. Defaults: journal_mode=wal, synchronous=full,
// wal_autocheckpoint=8000 (pages), busy_timeout=10000 (milliseconds), foreign_keys=on, _txlock=immediate and _time_format=sqlite.
//
// Username, Hostname and Port have no meaning here and are ignored. A password is an error, for the file would not be
// protected by it.
func Connector(s backend.Settings) (driver.Connector, error) {
	inner, target, err := connector(s)
	if err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	return guard.New(inner, guard.Options{
		Target:         target,
		OnConnect:      s.OnConnect,
		CheckThreshold: s.CheckThreshold,
	}), nil
}

func connector(s backend.Settings) (c driver.Connector, target string, err error) {
	if s.Password != "" {
		return nil, "", errors.New("password: SQLite has none, and the file would not be protected by it: leave it out")
	}
	if err := checkCharset(s.Charset); err != nil {
		return nil, "", err
	}
	query, err := params(s.Params)
	if err != nil {
		return nil, "", fmt.Errorf("params: %w", err)
	}
	if s.Database == ":memory:" {
		c, err = newMemory(query)
		return c, "SQLite in memory", err
	}
	path, err := absolute(s.Database)
	if err != nil {
		return nil, "", err
	}
	c, err = newFile(path, query, s.CheckThreshold)
	return c, fmt.Sprintf("SQLite file %q", path), err
}

// Package backend is where the database packages (postgres, mysql, sqlite) register what Open needs of them, so that
// the root package links only those that a program imports.
package backend

import (
	"database/sql/driver"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Settings is what a connector is made from: the connection part of the store's configuration, defaults applied
// but for those that are the database's own (port, user).
type Settings struct {
	Database  string
	Username  string // "" means the database's default
	Password  string
	Hostname  string
	Port      int // 0 means the database's own
	Charset   string
	Params    map[string]string
	OnConnect []string
	// CheckThreshold is how long a connection may idle before it is checked; 0 checks every time.
	CheckThreshold time.Duration
}

// Backend is one database.
type Backend struct {
	Name    string // as in Config.Driver: "postgres", "mysql", "sqlite"
	Dialect string // ent's: "postgres", "mysql", "sqlite3"
	// Import is the package that registers it.
	Import string
	// MaxOpenConns is the default size of the pool.
	MaxOpenConns int
	// Connector makes the connector of a pool. It connects to nothing. Its errors name the setting at fault, and never the password.
	Connector func(Settings) (driver.Connector, error)
}

var (
	mu       sync.RWMutex
	backends = map[string]Backend{}
)

// Register makes a backend known under its name. It is called from init.
func Register(b Backend) {
	mu.Lock()
	defer mu.Unlock()
	backends[b.Name] = b
}

// Lookup finds a backend by name. The error says which import is missing.
func Lookup(name string) (Backend, error) {
	mu.RLock()
	defer mu.RUnlock()
	if b, ok := backends[name]; ok {
		return b, nil
	}
	known := []string{"mysql", "postgres", "sqlite"}
	if slices.Contains(known, name) {
		return Backend{}, fmt.Errorf("driver %q is not linked in: import _ %q", name, "github.com/entsession/entsession/"+name)
	}
	return Backend{}, fmt.Errorf("driver %q is unknown: use postgres, mysql or sqlite", name)
}

// Package stores is what is compared: this module's store, its peers, and the database itself.
//
// store.go says what a contestant is and lists them; each has a file of its own. place.go says where a server is, servers.go
// starts them, payload.go makes the bytes that are saved.
package stores

import (
	"context"
	"fmt"
	"slices"
)

// Store is a contestant on a table of its own that holds the rows of the Setup. A row is saved by one caller at a time,
// and loaded by any.
type Store interface {
	Load(ctx context.Context, row int) ([]byte, error)
	Save(ctx context.Context, row int, data []byte) error
	Close() error
}

// Setup is what all contestants of a comparison have in common.
type Setup struct {
	Rows    int
	Payload []byte // of every row at first
	Conns   int    // the most connections, on a server
}

// Contestant is a Store that can be opened.
type Contestant struct {
	Name  string
	About string
	Kinds []string // the databases it has
	// Open makes the table and its rows. It is given an empty database.
	Open func(context.Context, Place, Setup) (Store, error)
	// Server is the kind of server it uses when that isn't the database of the comparison.
	Server string
}

// All contestants, in the order in which they are shown.
func All() []Contestant {
	return []Contestant{ours, oursUnbatched, scs, gorilla, rawPgx, rawSQL, pgbench, scsRedis}
}

// Of a database.
func Of(kind string) []Contestant {
	return slices.DeleteFunc(All(), func(c Contestant) bool { return !slices.Contains(c.Kinds, kind) })
}

// wrong is the error of a store that answers, but not what it should.
func wrong(name, what string, row int) error { return fmt.Errorf("%s: row %d: %s", name, row, what) }

package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"
	"net/url"
	"sync"
	"sync/atomic"

	"modernc.org/sqlite"
)

// memory opens connections to a database in memory. To SQLite's ":memory:", each would be a database of its own. The VFS
// "memdb" shares one between connections that open the same name, with the locks of a file, as long as one of them is
// open: the keeper.
type memory struct {
	driver.Connector
	mu     sync.Mutex
	keeper driver.Conn
}

var memories atomic.Int64

func newMemory(query url.Values) (driver.Connector, error) {
	query.Set("vfs", "memdb")
	query.Del("_journal_mode") // it is in memory too
	inner, err := sqlite.NewConnector(dsn(fmt.Sprintf("/entsession-%d", memories.Add(1)), query))
	if err != nil {
		return nil, err
	}
	return &memory{Connector: inner}, nil
}

// Connect implements driver.Connector.
func (m *memory) Connect(ctx context.Context) (driver.Conn, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.keeper == nil {
		keeper, err := m.Connector.Connect(ctx)
		if err != nil {
			return nil, err
		}
		m.keeper = keeper
	}
	inner, err := m.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return keepStatements(inner), nil
}

// Close ends the database.
func (m *memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.keeper == nil {
		return nil
	}
	keeper := m.keeper
	m.keeper = nil
	return keeper.Close()
}

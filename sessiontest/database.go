package sessiontest

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"modernc.org/sqlite"

	"github.com/entsession/entsession"
)

var databases atomic.Int64

// memory names a database in memory that the connections of one pool share, as long as one of them is open.
func memory() string {
	return fmt.Sprintf("file:///sessiontest-%d?vfs=memdb&_busy_timeout=10000&_foreign_keys=on&_txlock=immediate&_time_format=sqlite&_error_rc=1", databases.Add(1))
}

// connector opens connections to a database in memory.
type connector struct {
	driver *sqlite.Driver
	dsn    string
	keeper driver.Conn // keeps the database while the pool has no connection
}

// Connect implements driver.Connector.
func (c *connector) Connect(context.Context) (driver.Conn, error) { return c.driver.Open(c.dsn) }

// Driver implements driver.Connector.
func (c *connector) Driver() driver.Driver { return c.driver }

// Close ends the database, when the pool is closed.
func (c *connector) Close() error {
	if c.keeper == nil {
		return nil
	}
	return c.keeper.Close()
}

// template is a database with the table, from which the others are copied: it takes 20 times as long to migrate one.
var template struct {
	mu   sync.Mutex
	conn driver.Conn
}

// backuper is what SQLite's online backup asks of a connection.
type backuper interface {
	NewBackup(dsn string) (*sqlite.Backup, error)
}

// fill copies the template.
func (c *connector) fill() error {
	template.mu.Lock()
	defer template.mu.Unlock()
	if template.conn == nil {
		conn, err := migrated()
		if err != nil {
			return err
		}
		template.conn = conn
	}
	b, ok := template.conn.(backuper)
	if !ok {
		return errors.New("the driver has no backup")
	}
	backup, err := b.NewBackup(c.dsn)
	if err != nil {
		return err
	}
	_, err = backup.Step(-1)
	return errors.Join(err, backup.Finish())
}

// migrated gives a connection to a database that has the table.
func migrated() (conn driver.Conn, err error) {
	c := &connector{driver: &sqlite.Driver{}, dsn: memory()}
	if conn, err = c.driver.Open(c.dsn); err != nil {
		return nil, err
	}
	db := sql.OpenDB(c)
	ctx := context.Background()
	store, err := entsession.New(ctx, entsql.OpenDB(dialect.SQLite, db), entsession.Config{})
	if err == nil {
		err = errors.Join(store.Migrate(ctx), store.Close())
	}
	if err = errors.Join(err, db.Close()); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

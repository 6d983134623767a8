package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"modernc.org/sqlite"

	"github.com/entsession/entsession/internal/guard"
)

// file opens connections to a file.
type file struct {
	driver.Connector
	path  string
	fresh bool          // a file that is missing is to be made
	every time.Duration // how often it is looked at whether the file is still the same
}

func newFile(path string, query url.Values, every time.Duration) (driver.Connector, error) {
	inner, err := sqlite.NewConnector(dsn(path, query))
	if err != nil {
		return nil, err
	}
	if query.Get("vfs") != "" { // where its files are, only it knows
		return &plain{inner}, nil
	}
	mode := query.Get("mode")
	return &file{Connector: inner, path: path, fresh: mode == "" || mode == "rwc", every: every}, nil
}

// Connect implements driver.Connector.
func (f *file) Connect(ctx context.Context) (driver.Conn, error) {
	if f.fresh {
		f.create()
	}
	inner, err := f.Connector.Connect(ctx)
	if err != nil {
		return nil, f.explain(err)
	}
	info, err := os.Stat(f.path)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the file went away while it was opened: %w", err), inner.Close())
	}
	kept := keepStatements(inner)
	return &conn{Conn: kept, Validator: kept, file: f, opened: info, looked: time.Now()}, nil
}

// creating is held while a new file is open outside of SQLite: closing it takes away the locks that SQLite has on it in this process
// (sqlite.org/howtocorrupt.html, 2.2).
var creating sync.Mutex

// create makes a missing file before SQLite does, which would let the umask decide who may read the sessions. The files beside it (-wal, -shm,
// -journal) get the same mode from SQLite. One that exists keeps its own. What goes wrong here goes wrong with SQLite again, and is explained there.
func (f *file) create() {
	creating.Lock()
	defer creating.Unlock()
	if made, err := os.OpenFile(f.path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600); err == nil {
		_ = made.Close()
	}
}

// plain opens connections to whatever a VFS makes of the name.
type plain struct{ driver.Connector }

// Connect implements driver.Connector.
func (p *plain) Connect(ctx context.Context) (driver.Conn, error) {
	inner, err := p.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return keepStatements(inner), nil
}

// explain adds what SQLite does not say when it can't open a file.
func (f *file) explain(err error) error {
	dir := filepath.Dir(f.path)
	if _, statErr := os.Stat(dir); errors.Is(statErr, fs.ErrNotExist) {
		return fmt.Errorf("directory %s does not exist, create it first: %w", dir, err)
	}
	if info, statErr := os.Stat(f.path); statErr == nil && info.IsDir() {
		return fmt.Errorf("it is a directory: %w", err)
	}
	return err
}

// conn is a connection to a file. What can go wrong with one that idles is that the file is deleted, or replaced by
// another one: it would go on to write to a file that has no name any more.
type conn struct {
	guard.Conn
	driver.Validator
	file   *file
	opened os.FileInfo
	looked time.Time
}

// Ping implements driver.Pinger.
func (c *conn) Ping(ctx context.Context) error {
	if err := c.look(); err != nil {
		return err
	}
	return c.Conn.Ping(ctx)
}

// ResetSession implements driver.SessionResetter. A connection that never idles is looked after here.
func (c *conn) ResetSession(ctx context.Context) error {
	if err := c.Conn.ResetSession(ctx); err != nil {
		return err
	}
	if time.Since(c.looked) < c.file.every {
		return nil
	}
	return c.look()
}

func (c *conn) look() error {
	c.looked = time.Now()
	now, err := os.Stat(c.file.path)
	if err != nil || !os.SameFile(now, c.opened) {
		return driver.ErrBadConn
	}
	return nil
}

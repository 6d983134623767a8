package cli

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/spf13/cobra"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/internal/backend"
	"github.com/entsession/entsession/internal/fault"
	"github.com/entsession/entsession/internal/stmt"

	_ "github.com/entsession/entsession/mysql"
	_ "github.com/entsession/entsession/postgres"
	_ "github.com/entsession/entsession/sqlite"
)

// connection is a store and what is under it: the commands also ask what no application does, such as the types of the
// table's columns.
type connection struct {
	*entsession.Store
	cfg    entsession.Config // defaults applied
	pool   *sql.DB
	driver dialect.Driver
	table  *stmt.Table // its name
}

// connect reads the configuration and connects. The table need not exist.
func (a *app) connect(ctx context.Context, cmd *cobra.Command, mayCreate bool) (*connection, error) {
	cfg, _, err := a.configuration(cmd)
	if err != nil {
		return nil, err
	}
	return a.open(ctx, cfg, mayCreate)
}

// open does what entsession.Open does. mayCreate allows an SQLite file that is not there to be made.
func (a *app) open(ctx context.Context, cfg entsession.Config, mayCreate bool) (*connection, error) {
	// What is not asked for is not done on the side.
	cfg.DisableAutopurge = true
	if cfg.Logger == nil {
		cfg.Logger = slog.New(a.progress())
	}
	b, connector, err := connector(cfg)
	if err != nil {
		return nil, err
	}
	cfg, err = cfg.WithDefaults()
	if err != nil {
		return nil, wrongConfig(err)
	}
	if !mayCreate {
		if err := fileExists(cfg); err != nil {
			return nil, err
		}
	}
	pool := sql.OpenDB(connector)
	pool.SetMaxOpenConns(cfg.MaxOpenConns)
	pool.SetMaxIdleConns(cfg.MaxIdleConns)
	if err := pool.PingContext(ctx); err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	drv := entsql.OpenDB(b.Dialect, pool)
	store, err := entsession.New(ctx, drv, cfg)
	if err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	c := &connection{Store: store, cfg: cfg, pool: pool, driver: drv}
	schema, name, err := stmt.ParseName(cfg.Table)
	if err != nil {
		return nil, errors.Join(usage(err), c.Close())
	}
	if b.Dialect == dialect.SQLite {
		schema = ""
	}
	c.table = &stmt.Table{Dialect: b.Dialect, Schema: schema, Name: name}
	return c, nil
}

// Close closes the store and the pool.
func (c *connection) Close() error { return errors.Join(c.Store.Close(), c.pool.Close()) }

// connector makes the pool's connector, which connects to nothing but checks what the database's driver is told.
func connector(cfg entsession.Config) (backend.Backend, driver.Connector, error) {
	cfg, err := cfg.WithDefaults()
	if err != nil {
		return backend.Backend{}, nil, wrongConfig(err)
	}
	b, err := backend.Lookup(cfg.Driver)
	if err != nil {
		return b, nil, usage(err)
	}
	c, err := b.Connector(settings(cfg))
	if err != nil {
		return b, nil, usage(err)
	}
	return b, c, nil
}

// settings is the part of the configuration that the connector is made from.
func settings(c entsession.Config) backend.Settings {
	return backend.Settings{
		Database: c.Database, Username: c.Username, Password: c.Password, Hostname: c.Hostname, Port: c.Port,
		Charset: c.Charset, Params: c.Params, OnConnect: c.OnConnect, CheckThreshold: c.ConnectionCheckThreshold,
	}
}

// fileExists keeps SQLite from answering a misspelt name with a new, empty file.
func fileExists(cfg entsession.Config) error {
	path := cfg.Database
	if cfg.Driver != "sqlite" || path == ":memory:" || strings.HasPrefix(path, "file:") {
		return nil
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return &codedError{code: exitUnreachable, err: fmt.Errorf("the database file %q does not exist: `entsession migrate apply` makes it", path)}
	}
	return nil
}

// columns reads the names and types of the table's columns.
func (c *connection) columns(ctx context.Context) ([]*sql.ColumnType, error) {
	rows, err := c.pool.QueryContext(ctx, c.table.DescribeQuery())
	if err != nil {
		return nil, c.tableError("reading the columns", err)
	}
	defer rows.Close()
	types, err := rows.ColumnTypes()
	if err == nil {
		err = rows.Err()
	}
	if err != nil {
		return nil, c.tableError("reading the columns", err)
	}
	return types, nil
}

func (c *connection) tableError(doing string, err error) error {
	if fault.Of(err) == fault.NoTable {
		return fmt.Errorf("%s: table %s does not exist: `entsession migrate apply` makes it: %w", doing, c.table, err)
	}
	return fmt.Errorf("%s of table %s: %w", doing, c.table, err)
}

package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"entgo.io/ent/dialect/sql"
	"entgo.io/ent/dialect/sql/schema"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/examples/webapp/ent"
	"github.com/entsession/entsession/examples/webapp/ent/migrate"
	"github.com/entsession/entsession/examples/webapp/ent/session"
	"github.com/entsession/entsession/examples/webapp/ent/user"
	"github.com/entsession/entsession/httpcolumns"
)

// database is what the shop keeps: its users, by ent's client, and their sessions, by the typed store that was generated beside it from ent/schema.
type database struct {
	pool     *sql.Driver // the client's; the store has one of its own
	client   *ent.Client
	sessions *ent.SessionStore
	columns  *httpcolumns.Source // what the sessions know of the requests
}

// openDatabase creates the tables too, or what they lack.
func openDatabase(ctx context.Context, cfg entsession.Config, proxies []netip.Prefix) (*database, error) {
	columns, err := httpcolumns.New(httpcolumns.Config{
		Address: session.FieldAddress, UserAgent: session.FieldUserAgent, LastSeen: session.FieldLastSeen,
		LastSeenInterval: seenEvery, TrustedProxies: proxies,
	})
	if err != nil {
		return nil, err
	}
	cfg.Table, cfg.ColumnsFunc = session.Table, columns.Columns
	store, err := entsession.Open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	pool, err := entsession.OpenDriver(cfg)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	d := &database{pool: pool, client: ent.NewClient(ent.Driver(pool)), columns: columns}
	if d.sessions, err = ent.NewSessionStore(store, d.client); err == nil {
		err = d.createTables(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, store.Close(), pool.Close())
	}
	return d, nil
}

// createTables is ent's automatic migration, which is good enough for a demonstration. The example ownschema has migration files.
func (d *database) createTables(ctx context.Context) error {
	tables, err := schema.CopyTables(migrate.Tables) // Create writes to them
	if err == nil {
		err = migrate.Create(ctx, d.client.Schema, tables)
	}
	if err != nil {
		return fmt.Errorf("creating the tables: %w", err)
	}
	return nil
}

// Close waits for what is under way.
func (d *database) Close() error { return errors.Join(d.sessions.Untyped().Close(), d.pool.Close()) }

// user finds the user of a name, or makes one.
func (d *database) user(ctx context.Context, name string) (*ent.User, error) {
	u, err := d.client.User.Query().Where(user.Name(name)).Only(ctx)
	if !ent.IsNotFound(err) {
		return u, err
	}
	u, err = d.client.User.Create().SetName(name).Save(ctx)
	if ent.IsConstraintError(err) { // somebody was faster
		return d.client.User.Query().Where(user.Name(name)).Only(ctx)
	}
	return u, err
}

package main

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"

	"github.com/entsession/entsession/internal/dbtest"
)

// database is an empty database that is the command's own: a replay drops whatever it finds there.
type database struct {
	dialect.Driver
	release func() error
}

func (d *database) Close() error { return errors.Join(d.Driver.Close(), d.release()) }

// devDatabase starts one.
func devDatabase(d string) (*database, error) {
	if d == dialect.SQLite {
		return sqliteDatabase()
	}
	var missing error
	for _, kind := range dbtest.Kinds(d) {
		server, err := dbtest.Start(kind)
		if errors.Is(err, dbtest.ErrMissing) {
			missing = errors.Join(missing, err)
			continue
		}
		if err != nil {
			return nil, err
		}
		db, err := server.Create()
		if err != nil {
			return nil, errors.Join(err, server.Stop())
		}
		drv, err := open(d, db.DSN())
		if err != nil {
			return nil, errors.Join(err, server.Stop())
		}
		return &database{drv, server.Stop}, nil
	}
	return nil, missing
}

func sqliteDatabase() (*database, error) {
	dir, err := os.MkdirTemp("", "entsession-migrations-")
	if err != nil {
		return nil, fmt.Errorf("making a folder for the SQLite database: %w", err)
	}
	release := func() error { return os.RemoveAll(dir) }
	drv, err := open(dialect.SQLite, filepath.Join(dir, "dev.db"))
	if err != nil {
		return nil, errors.Join(err, release())
	}
	return &database{drv, release}, nil
}

func open(d, dsn string) (dialect.Driver, error) {
	name := map[string]string{dialect.Postgres: "pgx", dialect.MySQL: "mysql", dialect.SQLite: "sqlite"}[d]
	if d == dialect.SQLite {
		dsn = "file:" + dsn + "?_pragma=foreign_keys(1)" // ent refuses to migrate without
	}
	db, err := sql.Open(name, dsn)
	if err != nil {
		return nil, fmt.Errorf("opening the %s database: %w", d, err)
	}
	return entsql.OpenDB(d, db), nil
}

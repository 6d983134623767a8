// Package diff writes the application's migrations: what the schema has more than the directory makes.
package diff

import (
	"context"
	"database/sql"
	"fmt"

	atlas "ariga.io/atlas/sql/migrate"
	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"entgo.io/ent/dialect/sql/schema"

	_ "modernc.org/sqlite"

	"github.com/entsession/entsession/examples/ownschema/ent/migrate"
)

// Write adds a file to an Atlas directory, if one is needed. It replays the others on an empty database.
func Write(ctx context.Context, dir atlas.Dir, name string) error {
	db, err := sql.Open("sqlite", "file::memory:?_pragma=foreign_keys(1)")
	if err != nil {
		return fmt.Errorf("opening a database to replay in: %w", err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1) // each connection has a memory of its own
	plan, err := schema.NewMigrate(entsql.OpenDB(dialect.SQLite, db),
		schema.WithDir(dir), schema.WithMigrationMode(schema.ModeReplay), schema.WithFormatter(atlas.DefaultFormatter))
	if err != nil {
		return fmt.Errorf("comparing with the schema: %w", err)
	}
	if err := plan.NamedDiff(ctx, name, migrate.Tables...); err != nil {
		return fmt.Errorf("comparing with the schema: %w", err)
	}
	return nil
}

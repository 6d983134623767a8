// Command ownschema shows sessions in an application's own ent schema: ent/schema has them, with an edge to the users,
// ent/migrate/migrations is the application's own Atlas directory, byhand.go uses the store with the names that ent generates, and
// typed.go the typed store that the extension of entsession generates.
package main

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io"
	"io/fs"
	"log"
	"os"
	"path/filepath"

	"ariga.io/atlas/sql/migrate"
	"ariga.io/atlas/sql/sqlite"
	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/examples/ownschema/ent"
	"github.com/entsession/entsession/examples/ownschema/ent/session"

	_ "github.com/entsession/entsession/sqlite"
)

func main() {
	dir, err := os.MkdirTemp("", "ownschema-")
	if err == nil {
		err = run(context.Background(), os.Stdout, filepath.Join(dir, "app.db"))
		_ = os.RemoveAll(dir)
	}
	if err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, out io.Writer, file string) error {
	// The application's own pool and client.
	db, err := open(file)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := applyMigrations(ctx, db); err != nil {
		return err
	}
	client := ent.NewClient(ent.Driver(entsql.OpenDB(dialect.SQLite, db)))

	// Another pool for the store: no call of the store's takes part in a transaction of the application's.
	pool, err := open(file)
	if err != nil {
		return err
	}
	defer pool.Close()
	store, err := entsession.New(ctx, entsql.OpenDB(dialect.SQLite, pool), entsession.Config{Table: session.Table})
	if err != nil {
		return err
	}
	defer store.Close()

	if err := byHand(ctx, out, client, store); err != nil {
		return err
	}
	return typed(ctx, out, client, store)
}

// open opens a pool as the store wants it, see entsession.New. The foreign key needs foreign_keys.
func open(file string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=foreign_keys(1)&_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_txlock=immediate")
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", file, err)
	}
	return db, nil
}

//go:embed ent/migrate/migrations
var migrations embed.FS

// applyMigrations is for the new database of an example. Where one is to be kept, let `atlas migrate apply` do it, which remembers what it has
// applied.
func applyMigrations(ctx context.Context, db *sql.DB) error {
	drv, err := sqlite.Open(db)
	if err != nil {
		return fmt.Errorf("applying the migrations: %w", err)
	}
	dir := &migrate.MemDir{}
	names, err := fs.Glob(migrations, "ent/migrate/migrations/*")
	if err != nil {
		return err
	}
	for _, name := range names {
		text, err := migrations.ReadFile(name)
		if err != nil {
			return err
		}
		if err := dir.WriteFile(filepath.Base(name), text); err != nil { // atlas.sum too: a file that was changed is refused
			return err
		}
	}
	ex, err := migrate.NewExecutor(drv, dir, migrate.NopRevisionReadWriter{})
	if err == nil {
		err = ex.ExecuteN(ctx, 0)
	}
	if err != nil {
		return fmt.Errorf("applying the migrations: %w", err)
	}
	return nil
}

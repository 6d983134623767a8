// Package migrations holds the files that make the sessions table, in one Atlas directory for each database: what
// Store.Migrate applies, and what the atlas command applies with the atlas.hcl beside this folder. They are made from the ent schema by
// `make migrations NAME=what_changed`; a released file is never changed again, for every database remembers its hash.
package migrations

import (
	"embed"
	"fmt"
	"io/fs"

	"entgo.io/ent/dialect"
)

//go:embed postgres/*.sql postgres/atlas.sum mysql/*.sql mysql/atlas.sum sqlite/*.sql sqlite/atlas.sum
var files embed.FS

// Dir returns the directory of one of ent's dialects: its SQL files and their atlas.sum.
func Dir(d string) (fs.FS, error) {
	folder, ok := map[string]string{
		dialect.Postgres: "postgres",
		dialect.MySQL:    "mysql",
		dialect.SQLite:   "sqlite",
	}[d]
	if !ok {
		return nil, fmt.Errorf("there are no migrations for dialect %q: it must be %q, %q or %q", d, dialect.Postgres, dialect.MySQL, dialect.SQLite)
	}
	return fs.Sub(files, folder)
}

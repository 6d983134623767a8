//go:build ignore

// The next migration, after a change of the schema: go run -mod=mod ent/migrate/diff.go NAME
package main

import (
	"context"
	"log"
	"os"

	"ariga.io/atlas/sql/migrate"

	"github.com/entsession/entsession/examples/ownschema/ent/migrate/diff"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("name the migration: go run -mod=mod ent/migrate/diff.go add_color")
	}
	dir, err := migrate.NewLocalDir("ent/migrate/migrations")
	if err == nil {
		err = diff.Write(context.Background(), dir, os.Args[1])
	}
	if err != nil {
		log.Fatal(err)
	}
}

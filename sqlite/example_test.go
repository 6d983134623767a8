package sqlite_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/entsession/entsession"
	_ "github.com/entsession/entsession/sqlite"
)

// A file of its own, with parameters of the driver's.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "entsession-example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	store, err := entsession.Open(ctx, entsession.Config{
		Driver:   "sqlite",
		Database: filepath.Join(dir, "sessions.db"),
		Params:   map[string]string{"synchronous": "normal"}, // a power cut may take the last changes
	})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	if err := store.Migrate(ctx); err != nil {
		log.Fatal(err)
	}
	s, err := store.Create(ctx, []byte(`{"cart":["tea"]}`))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", s.Data)
	// Output: {"cart":["tea"]}
}

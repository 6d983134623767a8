package mysql_test

import (
	"context"
	"log"
	"os"

	"github.com/entsession/entsession"
	_ "github.com/entsession/entsession/mysql"
)

// MySQL or MariaDB, by TCP.
func Example() {
	ctx := context.Background()
	store, err := entsession.Open(ctx, entsession.Config{
		Driver: "mysql", Hostname: "db.example.com", Database: "shop", Username: "sessions", Password: os.Getenv("SESSIONS_PASSWORD"),
	})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	if err := store.Migrate(ctx); err != nil {
		log.Fatal(err)
	}
}

package postgres_test

import (
	"context"
	"log"
	"os"

	"github.com/entsession/entsession"
)

// A primary and its standby: whichever takes writes is found.
func Example() {
	ctx := context.Background()
	store, err := entsession.Open(ctx, entsession.Config{
		Hostname: "db1.example.com,db2.example.com", Database: "shop", Username: "sessions", Password: os.Getenv("SESSIONS_PASSWORD"),
		Params: map[string]string{"sslmode": "verify-full"},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	if err := store.Migrate(ctx); err != nil {
		log.Fatal(err)
	}
}

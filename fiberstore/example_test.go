package fiberstore_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/ent/session"
	"github.com/entsession/entsession/fiberstore"
	_ "github.com/entsession/entsession/sqlite"
)

func Example() {
	ctx := context.Background()
	store, err := entsession.Open(ctx, entsession.Config{Driver: "sqlite", Database: ":memory:"})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	if err := store.Migrate(ctx); err != nil {
		log.Fatal(err)
	}

	storage := fiberstore.New(store)
	storage.Columns = func(values map[any]any) []entsession.Column {
		return []entsession.Column{entsession.Set(session.FieldSubject, values["user"])}
	}
	// app.Use(session.New(session.Config{Storage: storage}))

	// What the middleware then does at a sign-in, with a key that it drew:
	data, err := encode(map[string]string{"user": "ann"})
	if err != nil {
		log.Fatal(err)
	}
	if err := storage.SetWithContext(ctx, "key", data, time.Hour); err != nil {
		log.Fatal(err)
	}

	n, err := store.Revoke(ctx, session.Subject("ann")) // sign out everywhere
	if err != nil {
		log.Fatal(err)
	}
	data, err = storage.GetWithContext(ctx, "key")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(n, "ended, found:", data != nil)
	// Output: 1 ended, found: false
}

package scsstore_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/ent/session"
	"github.com/entsession/entsession/scsstore"
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

	adapter := scsstore.New(store)
	adapter.Columns = func(values map[string]any) []entsession.Column {
		return []entsession.Column{entsession.Set(session.FieldSubject, values["user"])}
	}
	// sessions := scs.New()
	// sessions.Store = adapter

	// What the session manager then does at a sign-in, with a token that it drew:
	data, err := encode(map[string]string{"user": "ann"})
	if err != nil {
		log.Fatal(err)
	}
	if err := adapter.CommitCtx(ctx, "token", data, time.Now().Add(time.Hour)); err != nil {
		log.Fatal(err)
	}

	n, err := store.Revoke(ctx, session.Subject("ann")) // sign out everywhere
	if err != nil {
		log.Fatal(err)
	}
	_, found, err := adapter.FindCtx(ctx, "token")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(n, "ended, found:", found)
	// Output: 1 ended, found: false
}

package cbor_test

import (
	"context"
	"fmt"
	"log"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/codec/cbor"
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

	carts := entsession.Typed[map[string]int]{Store: store, Payload: entsession.Payload[map[string]int]{Codec: cbor.Codec{}}}
	s, err := carts.Create(ctx, map[string]int{"tea": 2})
	if err != nil {
		log.Fatal(err)
	}
	s, err = carts.Load(ctx, s.ID())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(s.Value["tea"])
	// Output: 2
}

package entext_test

import (
	"log"

	"entgo.io/ent/entc"
	"entgo.io/ent/entc/gen"

	"github.com/entsession/entsession/entext"
)

// The program ent/entc.go, which go generate runs.
func ExampleNew() {
	if err := entc.Generate("./schema", &gen.Config{}, entc.Extensions(entext.New())); err != nil {
		log.Fatalf("generating the ent package: %v", err)
	}
}

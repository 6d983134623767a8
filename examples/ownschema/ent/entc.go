//go:build ignore

package main

import (
	"log"

	"entgo.io/ent/entc"
	"entgo.io/ent/entc/gen"

	"github.com/entsession/entsession/entext"
)

func main() {
	err := entc.Generate("./schema", &gen.Config{Features: []gen.Feature{gen.FeatureVersionedMigration}},
		entc.Extensions(entext.New())) // for the typed store; the rest of the example needs no extension
	if err != nil {
		log.Fatalf("generating the ent package: %v", err)
	}
}

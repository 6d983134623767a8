// Command generate rebuilds the models in ent/ from ent/schema. `go generate ./...` runs it at the module's root.
package main

import (
	"log"

	"entgo.io/ent/entc"
	"entgo.io/ent/entc/gen"
)

func main() {
	err := entc.Generate("./ent/schema", &gen.Config{
		Features: []gen.Feature{gen.FeatureVersionedMigration, gen.FeatureModifier},
	})
	if err != nil {
		log.Fatalf("generating the models: %v", err)
	}
}

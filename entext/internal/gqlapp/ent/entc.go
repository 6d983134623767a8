//go:build ignore

package main

import (
	"log"
	"os"
	"slices"

	"entgo.io/contrib/entgql"
	"entgo.io/ent/entc"
	"entgo.io/ent/entc/gen"

	"github.com/entsession/entsession/entext"
)

func main() {
	gql, err := entgql.NewExtension(entgql.WithSchemaGenerator(), entgql.WithSchemaPath("ent.graphql"), entgql.WithWhereInputs(true))
	if err != nil {
		log.Fatalf("making entgql's extension: %v", err)
	}
	extensions := []entc.Extension{gql, entext.New()}
	if len(os.Args) > 1 { // for the test: the other order
		slices.Reverse(extensions)
	}
	if err := entc.Generate("./schema", &gen.Config{}, entc.Extensions(extensions...)); err != nil {
		log.Fatalf("generating the ent package: %v", err)
	}
}

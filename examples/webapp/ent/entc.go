//go:build ignore

package main

import (
	"log"

	"entgo.io/ent/entc"
	"entgo.io/ent/entc/gen"

	"github.com/entsession/entsession/entext"
)

func main() {
	if err := entc.Generate("./schema", &gen.Config{}, entc.Extensions(entext.New())); err != nil {
		log.Fatalf("generating the ent package: %v", err)
	}
}

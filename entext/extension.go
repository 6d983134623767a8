// Package entext is an ent extension that writes a typed session store into the application's ent package: for each schema on mixin.Session,
// a store whose sessions are the application's own entities, setters whose values have the fields' types, and List and Revoke on the
// schema's own predicates. docs/typed-store.md is its manual.
//
// It is for the program that generates code (entc.go), and nothing of it is linked into the application.
//
// Begin with this file; collect.go reads the graph, templates/ is what comes out, stringer.go hides ids in what ent generates.
package entext

import (
	"entgo.io/ent/entc"
	"entgo.io/ent/entc/gen"
)

// Extension is the entc.Extension. Its place among others doesn't matter.
type Extension struct{ entc.DefaultExtension }

// New makes the extension:
//
//	err := entc.Generate("./schema", &gen.Config{}, entc.Extensions(entext.New()))
func New() *Extension { return &Extension{} }

// Hooks implements entc.Extension.
func (*Extension) Hooks() []gen.Hook { return []gen.Hook{hook} }

var _ entc.Extension = (*Extension)(nil)

// hook goes around the generation. What is wrong with a schema is found before anything is written.
func hook(next gen.Generator) gen.Generator {
	return gen.GenerateFunc(func(g *gen.Graph) error {
		stores, err := collect(g)
		if err != nil {
			return err
		}
		// Before the generation: ent removes the folder of a schema that is gone only if nothing else is in it.
		if err := removeStale(g.Target, stores); err != nil {
			return err
		}
		for _, s := range stores {
			s.node.ID.StructTag = `json:"-"` // ent leaves out a sensitive field, but not a sensitive id
		}
		if err := next.Generate(g); err != nil {
			return err
		}
		for _, s := range stores {
			if err := s.write(g.Target); err != nil {
				return err
			}
		}
		return nil
	})
}

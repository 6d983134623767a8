package schema

import (
	"entgo.io/contrib/entgql"
	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
)

// User is who signs in.
type User struct{ ent.Schema }

// Annotations of the User.
func (User) Annotations() []schema.Annotation {
	return []schema.Annotation{entgql.RelayConnection(), entgql.QueryField(), entgql.Mutations(entgql.MutationCreate())}
}

// Fields of the User.
func (User) Fields() []ent.Field { return []ent.Field{field.String("name")} }

// Edges of the User.
func (User) Edges() []ent.Edge {
	return []ent.Edge{
		// Skipped here as well, or the mutations of users take the ids of sessions.
		edge.To("sessions", Session.Type).Annotations(entgql.Skip(entgql.SkipAll)),
		edge.To("invited", User.Type).From("inviter").Unique(),
	}
}

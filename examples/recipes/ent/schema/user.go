package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
)

// User is who signs in.
type User struct{ ent.Schema }

// Fields of the User.
func (User) Fields() []ent.Field {
	return []ent.Field{
		field.String("name").NotEmpty().Unique(),
		field.String("password").Sensitive(), // its hash
		field.Int("generation").Default(0),   // counts what ends all sessions
		field.JSON("seats", []int64{}).Optional(),
		field.Int("seats_version").Default(0), // counts the changes of seats
	}
}

// Edges of the User.
func (User) Edges() []ent.Edge {
	return []ent.Edge{
		// Who deletes a user ends the user's sessions.
		edge.To("sessions", Session.Type).Annotations(entsql.OnDelete(entsql.Cascade)),
		edge.To("acting", Session.Type).Annotations(entsql.OnDelete(entsql.Cascade)),
	}
}

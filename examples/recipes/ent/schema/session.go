// Package schema has what the recipes of docs/recipes.md need.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/entsession/entsession/mixin"
)

// Session is the store's columns and the application's own.
type Session struct{ ent.Schema }

// Mixin of the Session.
func (Session) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Session{}} }

// Fields of the Session.
func (Session) Fields() []ent.Field {
	return []ent.Field{
		field.Int("user_id").Optional().Nillable(),
		field.String("address").MaxLen(39).Optional(),
		field.String("user_agent").MaxLen(255).Optional(),
		field.Time("last_seen").Optional().Nillable(),
		field.Int64("seat").Optional(),              // for at most so many sessions of a user
		field.Int("actor_id").Optional().Nillable(), // who acts as the user
	}
}

// Edges of the Session.
func (Session) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("user", User.Type).Ref("sessions").Field("user_id").Unique(),
		edge.From("actor", User.Type).Ref("acting").Field("actor_id").Unique(),
	}
}

// Indexes of the Session.
func (Session) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("user_id"),
		index.Fields("actor_id"),
		index.Fields("last_seen", "user_id"), // who is online
	}
}

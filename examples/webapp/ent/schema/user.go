// Package schema is the shop's: who signs in, and the sessions. After a change, run go generate in the folder above.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
)

// User is who signs in.
type User struct{ ent.Schema }

// Fields of the User.
func (User) Fields() []ent.Field {
	return []ent.Field{field.String("name").NotEmpty().Unique()}
}

// Edges of the User.
func (User) Edges() []ent.Edge {
	// Who deletes a user ends the user's sessions.
	return []ent.Edge{edge.To("sessions", Session.Type).Annotations(entsql.OnDelete(entsql.Cascade))}
}

// Annotations of the User.
func (User) Annotations() []schema.Annotation { return []schema.Annotation{entsql.Table("shop_users")} }

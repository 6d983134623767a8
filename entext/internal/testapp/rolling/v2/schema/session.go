// Package schema is the second version of an application's, which has two columns more.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema/field"

	"github.com/entsession/entsession/mixin"
)

// Session has four columns of the application's own.
type Session struct{ ent.Schema }

// Mixin of the Session.
func (Session) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Session{}} }

// Fields of the Session.
func (Session) Fields() []ent.Field {
	return []ent.Field{
		field.String("device").MaxLen(20).Optional(),
		field.Int("visits").Default(0),
		// The first version goes on creating sessions: of new columns one is optional, and the other has a default in the database.
		field.Strings("roles").Optional(),
		field.Int("trust").Default(7).Annotations(entsql.Default("7")),
	}
}

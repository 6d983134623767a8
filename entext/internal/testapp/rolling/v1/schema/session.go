// Package schema is the first version of an application's.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"

	"github.com/entsession/entsession/mixin"
)

// Session has two columns of the application's own.
type Session struct{ ent.Schema }

// Mixin of the Session.
func (Session) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Session{}} }

// Fields of the Session.
func (Session) Fields() []ent.Field {
	return []ent.Field{
		field.String("device").MaxLen(20).Optional(),
		field.Int("visits").Default(0),
	}
}

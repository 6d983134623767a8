package mixin_test

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/entsession/entsession/mixin"
)

// Session is an application's schema: the store's columns and its own.
type Session struct{ ent.Schema }

func (Session) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Session{}} }

func (Session) Fields() []ent.Field {
	return []ent.Field{
		field.Int("user_id").Optional().Nillable(), // nobody, until the visitor signs in
		field.String("device").MaxLen(40).Optional(),
	}
}

func (Session) Indexes() []ent.Index { return []ent.Index{index.Fields("user_id")} }

// The schema of an application's own sessions, in its package schema.
func ExampleSession() {
	var _ ent.Interface = Session{}
}

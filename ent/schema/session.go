// Package schema describes the sessions table.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/entsession/entsession/mixin"
)

// Session is the table this module's own migrations make: the store's columns and one extra column, the subject.
type Session struct{ ent.Schema }

// Mixin of the Session.
func (Session) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Session{}} }

// Fields of the Session.
func (Session) Fields() []ent.Field {
	return []ent.Field{
		// Who is signed in. An extra column like any other: the store writes it when it is told to, and only then.
		field.String("subject").MaxLen(255).Optional().Nillable().
			SchemaType(map[string]string{dialect.Postgres: "varchar(255)"}),
	}
}

// Indexes of the Session.
func (Session) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("subject"),
	}
}

// Annotations of the Session.
func (Session) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Annotation{Table: "sessions"}}
}

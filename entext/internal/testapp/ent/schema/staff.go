package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"

	"github.com/entsession/entsession/mixin"
)

// StaffLogin is a second table of sessions.
type StaffLogin struct{ ent.Schema }

// Mixin of the StaffLogin.
func (StaffLogin) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Session{}} }

// Annotations of the StaffLogin.
func (StaffLogin) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Annotation{Table: "staff_sessions"}}
}

// Fields of the StaffLogin.
func (StaffLogin) Fields() []ent.Field {
	return []ent.Field{
		field.String("badge").NotEmpty().Immutable(),
		field.Int("shift").Positive().Optional(),
	}
}

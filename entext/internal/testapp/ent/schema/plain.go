package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"

	"github.com/entsession/entsession/mixin"
)

// Legacy has the three columns of old, and no mixin.
type Legacy struct{ ent.Schema }

// Annotations of the Legacy.
func (Legacy) Annotations() []schema.Annotation {
	return []schema.Annotation{mixin.Annotation{Store: "OldSessions", Stored: "OldSession"}}
}

// Fields of the Legacy.
func (Legacy) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").MaxLen(72),
		field.Text("data").Optional(),
		field.Int("timeout"),
	}
}

// Draft has the columns, and wants no store.
type Draft struct{ ent.Schema }

// Mixin of the Draft.
func (Draft) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Session{}} }

// Annotations of the Draft.
func (Draft) Annotations() []schema.Annotation {
	return []schema.Annotation{mixin.Annotation{Skip: true}}
}

// Package schema is an application's own, with a column of every kind.
package schema

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"entgo.io/ent"
	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
	"github.com/google/uuid"

	"github.com/entsession/entsession/entext/internal/testapp/types"
	"github.com/entsession/entsession/mixin"
)

// Session has a column of every kind.
type Session struct{ ent.Schema }

// Mixin of the Session.
func (Session) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Session{}} }

// Annotations of the Session.
func (Session) Annotations() []schema.Annotation {
	return []schema.Annotation{
		entsql.Annotation{Checks: map[string]string{"small_i8": "i8 < 100"}},
	}
}

// Fields of the Session.
func (Session) Fields() []ent.Field {
	return []ent.Field{
		field.Int("user_id").Optional().Nillable(),
		field.String("device").MaxLen(20).Optional().Comment("What the user calls it.\nAt most 20 characters."),
		field.String("long_name").Optional().Nillable().SchemaType(map[string]string{dialect.Postgres: "varchar(5)", dialect.MySQL: "varchar(5)"}),
		field.Text("notes").Optional(),
		field.Bool("admin").Default(false),
		field.Int("i").Optional(),
		field.Int8("i8").Optional(),
		field.Int16("i16").Optional(),
		field.Int32("i32").Optional(),
		field.Int64("i64").Optional().Nillable(),
		field.Uint("u").Optional(),
		field.Uint8("u8").Optional(),
		field.Uint16("u16").Optional(),
		field.Uint32("u32").Optional(),
		field.Uint64("u64").Optional(),
		field.Float("f64").Optional(),
		field.Float32("f32").Optional(),
		field.Time("seen").Optional().Nillable(),
		field.Time("changed").Default(time.Now).UpdateDefault(time.Now),
		field.UUID("request", uuid.UUID{}).Optional().Nillable(),
		field.UUID("trace", uuid.UUID{}).Default(uuid.New),
		field.JSON("prefs", &types.Prefs{}).Optional(),
		field.JSON("history", []url.URL{}).Optional(),
		field.Strings("roles").Optional(),
		field.Bytes("key").Optional().Nillable(),
		field.Enum("state").Values("new", "trusted").Default("new"),
		field.Enum("level").GoType(types.Low).Optional().Nillable(),
		field.String("role").GoType(types.Role("")).Optional(),
		field.Int64("balance").GoType(types.Cents(0)).Default(7),
		field.String("address").GoType(types.Addr{}).Optional(),
		field.String("proxy").GoType(types.Addr{}).Optional().Nillable(),
		field.String("nick").GoType(&sql.NullString{}).Optional(),
		field.String("home").GoType(&url.URL{}).Optional().ValueScanner(field.BinaryValueScanner[*url.URL]{}),
		field.String("tags").GoType(types.Tags{}).Optional().ValueScanner(field.ValueScannerFunc[types.Tags, *sql.NullString]{
			V: func(t types.Tags) (driver.Value, error) {
				for _, tag := range t.All {
					if strings.Contains(tag, ",") {
						return nil, fmt.Errorf("tag %q has a comma", tag)
					}
				}
				return t.Text(), nil
			},
			S: func(v *sql.NullString) (t types.Tags, _ error) {
				if v.Valid && v.String != "" {
					t.All = strings.Split(v.String, ",")
				}
				return t, nil
			},
		}),
		field.Other("amount", types.Addr{}).Optional().SchemaType(map[string]string{
			dialect.Postgres: "varchar", dialect.MySQL: "varchar(60)", dialect.SQLite: "text",
		}),
		field.String("tenant").Immutable().Default("main").StorageKey("tenant_name"),
		field.String("secret").Optional().Sensitive().Validate(func(s string) error {
			if s == "hunter2" {
				return fmt.Errorf("%q is too weak: %w", s, ErrWeak)
			}
			return nil
		}),
		field.String("ticket").Optional().Nillable().Unique().MaxLen(40),
		field.Int("region").Optional().Nillable(),
		field.Int("desk").Optional().Nillable(),
	}
}

// ErrWeak is what a validator wraps.
var ErrWeak = errors.New("too weak")

// Edges of the Session.
func (Session) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("user", User.Type).Ref("sessions").Unique().Field("user_id"),
		edge.From("impersonator", User.Type).Ref("shadowed").Unique(),
	}
}

// Indexes of the Session.
func (Session) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("user_id"),
		index.Fields("region", "desk").Unique(),
	}
}

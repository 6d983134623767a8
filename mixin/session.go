// Package mixin holds the columns that a session store keeps, as an ent mixin: embed it in a schema of your own, add
// the fields you want beside them, and generate and migrate as always. It imports ent and nothing else of this module.
package mixin

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
	"entgo.io/ent/schema/mixin"
)

// IDSize is the width of the id column in characters. A stored id (43 characters of base64url SHA-256) leaves room:
// the width is that of the tables this store adopts.
const IDSize = 72

// Session adds the columns a store reads and writes:
//
//   - id: the SHA-256 of the client's id in base64url (or the plain id, when hashing is off);
//   - data: the payload as text;
//   - timeout: the epoch second through which the session is live; negative after a revocation, then minus the second of it;
//   - version: a random token, new with every write of the payload or of a column;
//   - created: the epoch second of creation;
//   - application: the name that separates applications sharing one table.
//
// Ids compare byte for byte: ent gives MySQL tables the collation utf8mb4_bin, SQLite compares bytes, and so does
// PostgreSQL's equality. This module's own migrations also give the id column PostgreSQL's "C" collation, which makes
// its index cheaper; docs/own-schema.md says how to do the same for a schema of your own.
type Session struct {
	mixin.Schema

	// Index is the name of the index on application and timeout. The default is ent's: the schema's name and theirs, session_application_timeout.
	// PostgreSQL and SQLite have each name of an index once in a database schema: of two tables there, whose ent schemas are both called Session (those
	// of two applications, say, or of this module and of yours), one needs another name.
	Index string
}

// epoch is each database's current second since 1970, rounded down. ent and SQLite disagree on the parentheses around a
// whole expression, and ent would rebuild the table at every migration: hence a sum, whose parentheses both keep.
var epoch = map[string]string{
	dialect.Postgres: "floor(extract(epoch from now()))::bigint",
	dialect.MySQL:    "(unix_timestamp())",
	dialect.SQLite:   "(unixepoch()) + (0)",
}

// Fields of the Session.
func (Session) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").
			MaxLen(IDSize).NotEmpty().Immutable().Sensitive().
			SchemaType(map[string]string{
				dialect.Postgres: "char(72)",
				dialect.MySQL:    "char(72)",
				dialect.SQLite:   "char(72)",
			}),
		field.Text("data").
			Optional().Nillable().Sensitive(),
		field.Int64("timeout").
			Annotations(entsql.DefaultExprs(epoch)),
		field.Int64("version").
			Default(0),
		field.Int64("created").
			Immutable().
			Annotations(entsql.DefaultExprs(epoch)),
		field.String("application").
			MaxLen(255).Default("").Immutable().
			SchemaType(map[string]string{dialect.Postgres: "varchar(255)"}),
	}
}

// Indexes of the Session: what the purge walks.
func (s Session) Indexes() []ent.Index {
	walked := index.Fields("application", "timeout")
	if s.Index != "" {
		walked.StorageKey(s.Index)
	}
	return []ent.Index{walked}
}

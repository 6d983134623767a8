package stmt

import (
	"strings"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
)

// The statements of a batch: what Set has for one session, for many. On PostgreSQL they take arrays and on SQLite a JSON array, so that
// each is one text, prepared once. MySQL's are made of a part for each session; where they are prepared, of as many as a power of two.
//
// The keys of a batch are unique and sorted: two batches that lock the same rows in different orders would wait for each other.

// Many is a statement over any number of sessions.
type Many struct {
	pieces []piece
	clocks int // MySQL's SaveMany: how often it is given the current second
}

// piece is a part of a statement, or one that comes again for each session.
type piece struct {
	first string // for the first session
	other string // for each other one; "": it doesn't come again
}

// Text for n sessions.
func (m *Many) Text(n int) string {
	if len(m.pieces) == 1 && m.pieces[0].other == "" {
		return m.pieces[0].first
	}
	var b strings.Builder
	for _, p := range m.pieces {
		b.WriteString(p.first)
		for range n - 1 {
			b.WriteString(p.other)
		}
	}
	return b.String()
}

func one(text string) *Many { return &Many{pieces: []piece{{first: text}}} }

// Together is the statements of batches.
type Together struct {
	// Load reads the live ones of the sessions. Arguments: KeyArgs. Columns: id, and then what Set.Load reads.
	Load *Many
	// Check tells of the live ones whether their renewal is due. Arguments: KeyArgs. Columns: id, 1 or 0, timeout [version].
	Check *Many
	// Touch renews the live ones. Arguments: KeyArgs. On PostgreSQL it returns their ids.
	Touch *Many
	// Delete makes the live ones tombstones. Arguments: [version] and KeyArgs.
	Delete *Many
	// DeleteTelling is Delete that returns id and extra columns of what it changed: PostgreSQL's.
	DeleteTelling *Many
	// Lock is MySQL's, in a transaction: it locks those of the live ones that no one else has locked. Arguments: KeyArgs. Columns: id, the
	// timeout after a renewal, the current second [version].
	Lock *Many
}

// Together renders them. It is nil for a table whose ids can't be given many at a time.
func (s *Set) Together() *Together {
	t := s.Table
	if s.bytewise() || t.Dialect == dialect.Postgres && s.keyType() == "" {
		return nil
	}
	version := ""
	if t.HasVersion {
		version = ", " + s.q(Version)
	}
	patience, returning := "", ""
	if t.Dialect == dialect.Postgres {
		patience, returning = " AND "+Patience, " RETURNING "+s.q(ID)
	}
	together := &Together{
		Load:  s.many(func(b *sql.Builder) { b.WriteString("SELECT " + s.q(ID) + ", " + s.columns() + s.from()) }, ""),
		Check: s.many(func(b *sql.Builder) { b.WriteString("SELECT " + s.q(ID) + ", " + s.state() + s.from()) }, ""),
		Touch: s.many(func(b *sql.Builder) {
			b.WriteString("UPDATE " + s.byPrimary() + " SET " + s.q(Timeout) + " = " + s.renewed())
		}, patience+returning),
		Delete: s.many(func(b *sql.Builder) {
			b.WriteString("UPDATE " + s.byPrimary() + " SET ")
			s.tombstone(b)
		}, patience),
	}
	together.DeleteTelling = s.deleteTelling(together.Delete)
	if t.Dialect == dialect.MySQL {
		together.Lock = s.many(func(b *sql.Builder) {
			b.WriteString("SELECT " + s.q(ID) + ", " + s.renewed() + ", " + t.Now() + version + " FROM " + s.byPrimary())
		}, " FOR UPDATE SKIP LOCKED")
	}
	return together
}

// PatienceMilliseconds is how long a batch on PostgreSQL waits for a row that someone else has locked. All of the batch waits for that row; after this time
// each goes alone.
const PatienceMilliseconds = 250

// Patience is a condition that says so. It depends on no row: it is evaluated once, before the first one, and the setting ends with the statement's own
// transaction.
var Patience = "(SELECT set_config('lock_timeout', '" + itoa(PatienceMilliseconds) + "', true)) IS NOT NULL"

// once has PostgreSQL look at the clock once, and not for every row.
func (s *Set) once(text string) string {
	if s.Table.Dialect != dialect.Postgres {
		return text
	}
	return strings.ReplaceAll(text, s.Table.Now(), "(SELECT "+s.Table.Now()+")")
}

// byPrimary is the table, and for MySQL the index to find rows by: of a small table it would read and lock all of them.
func (s *Set) byPrimary() string {
	if s.Table.PrimaryID {
		return s.Table.Ident() + " FORCE INDEX (PRIMARY)"
	}
	return s.Table.Ident()
}

// KeyArgs appends the arguments that say which rows: the keys [application]. They are sorted, and unique, but for MySQL the last may be there again.
func (s *Set) KeyArgs(args []any, keys []string, application string) []any {
	switch s.Table.Dialect {
	case dialect.Postgres:
		args = append(args, keys)
	case dialect.SQLite:
		args = append(args, jsonArray(keys))
	default:
		for _, k := range keys {
			args = append(args, k)
		}
	}
	return s.applicationArg(args, application)
}

// many renders a statement with the condition that says which rows.
func (s *Set) many(head func(*sql.Builder), tail string) *Many {
	const mark = "\x00" // where the part that repeats is
	text := s.text(func(b *sql.Builder) {
		head(b)
		b.WriteString(" WHERE " + s.q(ID))
		switch s.Table.Dialect {
		case dialect.Postgres:
			b.WriteString(" = ANY(").Arg(placeholder).WriteString("::" + s.keyType() + "[])")
		case dialect.SQLite:
			b.WriteString(" IN (SELECT value FROM json_each(").Arg(placeholder).WriteString("))")
		default:
			b.WriteString(" IN (" + mark + ")")
		}
		if s.Table.HasApplication {
			before, after := s.around()
			b.WriteString(" AND " + before + s.q(Application) + " = ").Arg(placeholder).WriteString(after)
		}
		b.WriteString(" AND " + s.unindexed(s.live()))
	}) + tail
	before, after, ok := strings.Cut(text, mark)
	if !ok {
		return one(s.once(text))
	}
	return &Many{pieces: []piece{{first: before}, {first: "?", other: ", ?"}, {first: after}}}
}

// keyType is the type that PostgreSQL compares ids in: with another one it would not use the index.
func (s *Set) keyType() string {
	switch s.Table.Types[ID] {
	case "BPCHAR":
		return "bpchar"
	case "VARCHAR", "TEXT":
		return "text"
	}
	return ""
}

// jsonArray writes ids, which are printable ASCII, as a JSON array.
func jsonArray(keys []string) string {
	var b strings.Builder
	b.Grow(len(keys) * 48)
	b.WriteByte('[')
	for i, k := range keys {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('"')
		if strings.ContainsAny(k, `"\`) {
			k = strings.NewReplacer(`"`, `\"`, `\`, `\\`).Replace(k)
		}
		b.WriteString(k)
		b.WriteByte('"')
	}
	b.WriteByte(']')
	return b.String()
}

package stmt

import (
	"slices"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"

	"github.com/entsession/entsession/internal/wire"
)

// FetchColumns is how many columns of Fetch come before those of Load.
const FetchColumns = 2

// fetch renders Fetch, for PostgreSQL. Before each execution the server makes every function of a statement ready anew, and Load's condition has several:
// with them the whole statement takes a tenth longer (pgbench and PostgreSQL 15 on one processor: 24.6 µs, and 22.4 for this one). The clock is still the
// database's, which looks at it once in a transaction: that of this statement alone, or of the few that travel together, whose calls had all begun before.
// It comes as a number: the text of a time depends on settings.
func (s *Set) fetch(columns string) string {
	t := s.Table
	if t.Dialect != dialect.Postgres || !t.HasApplication || !slices.Contains([]string{"TEXT", "VARCHAR"}, t.Types[Application]) {
		return ""
	}
	return s.text(func(b *sql.Builder) {
		b.WriteString("SELECT date_part('epoch', CURRENT_TIMESTAMP), " + s.q(Application) + ", " + columns + s.from() + " WHERE " + s.q(ID) + " = ").Arg(placeholder)
	})
}

// Judged tells whether a row of Fetch is that of a live session of an application.
func (s *Set) Judged(row wire.Row, application string) (live bool, err error) {
	now, err := row.Float(0)
	if err != nil {
		return false, err
	}
	timeout, err := row.Int(FetchColumns + 1)
	return timeout >= int64(now) && row.Is(1, application), err
}

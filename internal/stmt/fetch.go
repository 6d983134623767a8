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
// without any, the whole statement takes a tenth less (pgbench and PostgreSQL 15 on one processor: 22.4 µs, and 24.6 with the condition), and a caller who is
// alone gets a sixth more of them than with only the time made a number. The clock is still the database's, which looks at it once in a transaction: that of
// this statement alone, or of the few that travel together, whose calls had all begun before.
func (s *Set) fetch(columns string) string {
	t := s.Table
	if t.Dialect != dialect.Postgres || !t.HasApplication || !slices.Contains([]string{"TEXT", "VARCHAR"}, t.Types[Application]) {
		return ""
	}
	return s.text(func(b *sql.Builder) {
		b.WriteString("SELECT CURRENT_TIMESTAMP, " + s.q(Application) + ", " + columns + s.from() + " WHERE " + s.q(ID) + " = ").Arg(placeholder)
	})
}

// Judged tells whether a row of Fetch is that of a live session of an application.
func (s *Set) Judged(row wire.Row, application string) (live bool, err error) {
	now, err := row.Second(0)
	if err != nil {
		return false, err
	}
	timeout, err := row.Int(FetchColumns + 1)
	return timeout >= now && row.Is(1, application), err
}

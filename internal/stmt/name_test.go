package stmt_test

import (
	"strings"
	"testing"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/internal/stmt"
)

func TestParseName(t *testing.T) {
	schema, table, err := stmt.ParseName("app.sessions")
	require.NoError(t, err)
	require.Equal(t, "app", schema)
	require.Equal(t, "sessions", table)
	_, _, err = stmt.ParseName("app.quo\"ted")
	require.EqualError(t, err, `table "app.quo\"ted": name has the character '"' at byte 3: use letters, digits and _, beginning with a letter or _, and one dot between schema and table`)
	_, _, err = stmt.ParseName(strings.Repeat("x", 64))
	require.ErrorContains(t, err, "64 bytes: at most 63")
	_, _, err = stmt.ParseName("a.")
	require.ErrorContains(t, err, "empty")
}

// A name that is taken is one that both our quoting and ent's make the same identifier of.
func FuzzParseName(f *testing.F) {
	for _, seed := range []string{"sessions", "app.sessions", "a.b.c", `a"b`, "a`b", "таблица", "🎉", "a b", "a-b", "1a", "a;b", "\xff", "", ".", strings.Repeat("x", 64)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		schema, table, err := stmt.ParseName(name)
		if err != nil {
			return
		}
		require.NotContains(t, table, ".")
		for _, part := range []string{schema, table} {
			require.LessOrEqual(t, len(part), 63)
			require.False(t, strings.ContainsAny(part, "\"`'\x00;\\ "), part)
		}
		for _, d := range []string{dialect.Postgres, dialect.MySQL} {
			tab := &stmt.Table{Dialect: d, Schema: schema, Name: table}
			text, _ := sql.Dialect(d).Delete(table).Schema(schema).Query()
			require.Equal(t, "DELETE FROM "+tab.Ident(), text)
		}
	})
}

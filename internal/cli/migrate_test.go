package cli

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/internal/dbtest"
)

type statusOutput struct {
	Table      string `json:"table"`
	Exists     bool   `json:"table_exists"`
	UpToDate   bool   `json:"up_to_date"`
	Migrations []struct {
		Version     string  `json:"version"`
		Description string  `json:"description"`
		State       string  `json:"state"`
		AppliedAt   *string `json:"applied_at"`
		Statements  int     `json:"statements"`
		Done        int     `json:"done"`
	} `json:"migrations"`
}

type applyOutput struct {
	Table   string `json:"table"`
	Applied []struct {
		Version     string `json:"version"`
		Description string `json:"description"`
	} `json:"applied"`
}

func TestMigrate(t *testing.T) {
	each(t, func(t *testing.T, d *database) {
		if d.Kind.Dialect == dbtest.SQLite {
			d.run(t, "migrate", "status").fails(t, exitUnreachable, "does not exist: `entsession migrate apply` makes it")
			require.NoFileExists(t, d.File)
			d.exec(t, "CREATE TABLE other (x integer)")
		}
		before := decode[statusOutput](t, d.run(t, "migrate", "status", "--json"))
		require.False(t, before.Exists)
		require.False(t, before.UpToDate)
		require.NotEmpty(t, before.Migrations)
		for _, m := range before.Migrations {
			require.Equal(t, "pending", m.State)
			require.Nil(t, m.AppliedAt)
		}
		d.run(t, "migrate", "status", "--check").fails(t, exitTable, "table sessions does not exist")

		applied := decode[applyOutput](t, d.run(t, "migrate", "apply", "--json"))
		require.Equal(t, "sessions", applied.Table)
		require.Len(t, applied.Applied, len(before.Migrations))
		require.Equal(t, before.Migrations[0].Version, applied.Applied[0].Version)
		require.Equal(t, "create_sessions", applied.Applied[0].Description)
		require.Empty(t, decode[applyOutput](t, d.run(t, "migrate", "apply", "--json")).Applied)
		require.Equal(t, "nothing to do: table sessions is up to date\n", d.run(t, "migrate", "apply").ok(t))
		require.Empty(t, d.run(t, "migrate", "apply", "--quiet").ok(t))

		after := decode[statusOutput](t, d.run(t, "migrate", "status", "--json", "--check"))
		require.True(t, after.Exists)
		require.True(t, after.UpToDate)
		require.Equal(t, "applied", after.Migrations[0].State)
		require.NotNil(t, after.Migrations[0].AppliedAt)
		human := d.run(t, "migrate", "status")
		require.Regexp(t, `^VERSION         STATE    APPLIED                  DESCRIPTION\n\d{14}  applied  \d{4}-\d\d-\d\d \d\d:\d\d:\d\d [A-Z]{3,4}  create_sessions\n`, human.ok(t))
		require.Equal(t, "table sessions is up to date\n", human.err)

		other := d.run(t, "migrate", "apply", "--table", "visits")
		require.Regexp(t, `^applied \d{14} create_sessions\ntable visits is up to date\n$`, other.ok(t))
		require.Empty(t, d.list(t, "--table", "visits"))
	})
}

func TestAltered(t *testing.T) {
	each(t, func(t *testing.T, d *database) {
		d.store(t)
		history := "atlas_schema_revisions"
		d.exec(t, "UPDATE "+history+" SET hash = 'another'")
		altered := decode[statusOutput](t, d.run(t, "migrate", "status", "--json"))
		require.Equal(t, "altered", altered.Migrations[0].State)
		d.run(t, "migrate", "status", "--check").fails(t, exitTable, "was altered after it was applied")
		d.run(t, "migrate", "apply").fails(t, exitTable, "altered")
		d.run(t, "config", "check").fails(t, exitTable, "was altered")
	})
}

func TestAdopt(t *testing.T) {
	each(t, func(t *testing.T, d *database) {
		d.exec(t, "CREATE TABLE sessions (id char(72) PRIMARY KEY, data text, timeout bigint NOT NULL, tenant integer)")
		d.run(t, "migrate", "apply").fails(t, exitTable, "`entsession migrate adopt` prints the statements")
		d.run(t, "migrate", "status", "--check").fails(t, exitTable, "made by something else")
		check := d.run(t, "config", "check")
		require.Contains(t, check.ok(t), "but a store works with it as it is\nextra columns: tenant\n")

		plan := decode[struct {
			Table      string
			Statements []string
		}](t, d.run(t, "migrate", "adopt", "--json"))
		require.NotEmpty(t, plan.Statements)
		for _, statement := range plan.Statements {
			d.exec(t, statement)
		}
		again := d.run(t, "migrate", "adopt")
		require.Empty(t, again.ok(t))
		require.Contains(t, again.err, "nothing to do")
		require.Equal(t, "nothing to do: table sessions is up to date\n", d.run(t, "migrate", "apply").ok(t))

		d.exec(t, "CREATE TABLE fruit (id integer)")
		d.run(t, "migrate", "apply", "--table", "fruit").fails(t, exitTable, "is not one of sessions")
		d.run(t, "migrate", "adopt", "--table", "nothing").fails(t, exitTable, "table nothing does not exist")
	})
}

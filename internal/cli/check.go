package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"entgo.io/ent/dialect"
	"github.com/spf13/cobra"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/config"
	"github.com/entsession/entsession/internal/stmt"
)

const checkHelp = `Reads the configuration as the other commands do, and shows every option as it is in effect, the
password hidden. Then it connects, unless --offline says otherwise, and tells what it found: the
database, the state of the table, and whether a store can work with it as configured.

It exits with code 2 when the configuration is wrong, 3 when the database can't be reached, and 4
when the table is not ready: missing, behind the migrations, or lacking what the configuration
asks for. A table that something else made is ready if a store can work with it.

JSON: {"source", "settings": [{"name", "value", "default"}], "database": {"driver", "version"},
"table": {"name", "exists", "ready", "up_to_date", "columns", "message"}}; without database and
table when --offline`

type checkJSON struct {
	Source   string        `json:"source"`
	Settings []settingJSON `json:"settings"`
	Database *databaseJSON `json:"database,omitempty"`
	Table    *tableJSON    `json:"table,omitempty"`
}

type settingJSON struct {
	Name    string `json:"name"`
	Value   string `json:"value"`
	Default bool   `json:"default"`
}

type databaseJSON struct {
	Driver  string `json:"driver"`
	Version string `json:"version"`
}

type tableJSON struct {
	Name     string   `json:"name"`
	Exists   bool     `json:"exists"`
	Ready    bool     `json:"ready"`      // a store can work with it, and no migration is outstanding
	UpToDate bool     `json:"up_to_date"` // all migrations were applied
	Columns  []string `json:"columns"`    // the application's
	Message  string   `json:"message"`
}

func (a *app) configCommand() *cobra.Command {
	offline := false
	check := &cobra.Command{
		Use:     "check",
		Short:   "Show the configuration in effect, and try it",
		Long:    checkHelp,
		Example: "  entsession config check --config app.yaml\n  entsession config check --offline --dsn 'postgres://app@db.example/shop?password_env=DB_PASSWORD'",
		Args:    noArguments,
		RunE: a.run(func(ctx context.Context, cmd *cobra.Command) error {
			cfg, source, err := a.configuration(cmd)
			if err != nil {
				return err
			}
			settings, err := config.Describe(cfg)
			if err != nil {
				return wrongConfig(err)
			}
			if _, _, err := connector(cfg); err != nil {
				return err
			}
			out := checkJSON{Source: source, Settings: []settingJSON{}}
			for _, s := range settings {
				out.Settings = append(out.Settings, settingJSON(s))
			}
			var failed error
			if !offline {
				failed = a.tryConfig(ctx, cfg, &out)
			}
			if a.json {
				return both(failed, a.writeJSON(out))
			}
			return both(failed, a.printCheck(out))
		}),
	}
	check.Flags().BoolVar(&offline, "offline", false, "don't connect")
	return group("config", "Check the configuration", check)
}

// tryConfig fills in what the database says.
func (a *app) tryConfig(ctx context.Context, cfg entsession.Config, out *checkJSON) (err error) {
	c, err := a.open(ctx, cfg, false)
	if err != nil {
		return err
	}
	defer closing(c, &err)
	version, err := c.version(ctx)
	if err != nil {
		return err
	}
	out.Database = &databaseJSON{c.cfg.Driver, version}
	s, err := c.migrationState(ctx)
	if err != nil {
		return err
	}
	out.Table = &tableJSON{Name: c.table.String(), Exists: s.tableExists, UpToDate: s.upToDate(), Columns: []string{}, Message: s.summary(c.table)}
	if !s.tableExists {
		return &codedError{code: exitTable, err: errors.New(out.Table.Message)}
	}
	columns, err := c.columns(ctx)
	if err != nil {
		return err
	}
	for _, t := range columns {
		if !stmt.Own(t.Name()) {
			out.Table.Columns = append(out.Table.Columns, t.Name())
		}
	}
	for _, err := range c.List(ctx) { // the first page tells what a store thinks of the table
		if err != nil {
			out.Table.Message = strings.Join(messages(err), "; ")
			return &codedError{code: exitTable, err: err}
		}
		break
	}
	if !s.upToDate() && !s.foreign() {
		return &codedError{code: exitTable, err: errors.New(out.Table.Message)}
	}
	out.Table.Ready = true
	if s.foreign() {
		out.Table.Message += ", but a store works with it as it is"
	}
	return nil
}

// version asks the database for its own.
func (c *connection) version(ctx context.Context) (version string, err error) {
	question := "SELECT version()"
	if c.table.Dialect == dialect.SQLite {
		question = "SELECT 'SQLite ' || sqlite_version()"
	}
	if err := c.pool.QueryRowContext(ctx, question).Scan(&version); err != nil {
		return "", fmt.Errorf("asking the database for its version: %w", err)
	}
	if c.table.Dialect == dialect.MySQL && !strings.Contains(version, "MariaDB") {
		version = "MySQL " + version
	}
	return version, nil
}

func (a *app) printCheck(out checkJSON) error {
	g := a.grid()
	for _, s := range out.Settings {
		note := ""
		if s.Default {
			note = "(default)"
		}
		if err := g.row(s.Name, printable(s.Value), note); err != nil {
			return err
		}
	}
	if err := g.flush(); err != nil {
		return err
	}
	lines := "\nread from: " + printable(out.Source) + "\n"
	if out.Database != nil {
		lines += "database: " + printable(out.Database.Version) + "\n"
	}
	if t := out.Table; t != nil {
		if t.Ready { // else the error says it
			lines += printable(t.Message) + "\n"
		}
		if len(t.Columns) > 0 {
			lines += "extra columns: " + printable(strings.Join(t.Columns, ", ")) + "\n"
		}
	}
	return a.print("%s", lines)
}

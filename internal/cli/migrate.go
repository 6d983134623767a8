package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/entsession/entsession/internal/migrator"
)

const applyHelp = `Brings the table up to date with the migrations that are built into this program, and lists what
it applied. With nothing pending it changes nothing. Any number of processes may run it at once.

It takes turns with the atlas command on the files of the same release. A table that something else
made is left alone: see "entsession migrate adopt".

JSON: {"table", "applied": [{"version", "description"}]}`

const statusHelp = `Shows which of the built-in migrations the table has had. It changes nothing.

STATE is applied, pending, partial (interrupted; apply goes on with it) or altered (not the file
that was applied; apply refuses).

JSON: {"table", "table_exists", "up_to_date", "migrations": [{"version", "description", "state",
"applied_at", "statements", "done"}]}`

const adoptHelp = `Prints the statements that turn a table which something else made into one that these migrations
made: they add the columns and indexes it lacks, and record the first migration as applied. The
table's rows and its other columns stay. It changes nothing by itself: read them, and run them with
the database's own client. It prints nothing for a table that the migrations made.

JSON: {"table", "statements": ["…"]}`

func (a *app) migrateCommand() *cobra.Command {
	return group("migrate", "Make the table, and bring it up to date", a.applyCommand(), a.statusCommand(), a.adoptCommand())
}

func (c *connection) target() migrator.Target {
	return migrator.Target{
		Driver: c.driver, Schema: c.table.Schema, Table: c.table.Name,
		Operator: "entsession " + readVersion().Version,
	}
}

func (a *app) applyCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "apply",
		Short:   "Apply what is pending",
		Long:    applyHelp,
		Example: "  entsession migrate apply --dsn sqlite:sessions.db\n  entsession migrate apply --config app.yaml --table app.sessions",
		Args:    noArguments,
		RunE: a.run(func(ctx context.Context, cmd *cobra.Command) (err error) {
			c, err := a.connect(ctx, cmd, true)
			if err != nil {
				return err
			}
			defer closing(c, &err)
			target, progress := c.target(), a.progress()
			target.Progress = func(version string, stmt, total int) {
				progress.show("%s: statement %d of %d …", version, stmt, total)
			}
			applied, err := migrator.Apply(ctx, target)
			progress.done()
			err = adoptable(err)
			if err != nil && len(applied) == 0 {
				return err
			}
			return both(err, a.printApplied(ctx, c, applied))
		}),
	}
}

// adoptable is the error of Apply, with the way out that this program has.
func adoptable(err error) error {
	var exists *migrator.ExistsError
	if !errors.As(err, &exists) || len(exists.Plan) == 0 {
		return err
	}
	lacks := ""
	if len(exists.Missing) > 0 {
		lacks = " (it has no column " + strings.Join(exists.Missing, ", ") + ")"
	}
	return &codedError{code: exitTable, err: fmt.Errorf(
		"table %q exists already, and no migration of this program made it%s: `entsession migrate adopt` prints the statements that adopt it", exists.Table, lacks)}
}

func (a *app) printApplied(ctx context.Context, c *connection, applied []string) error {
	type migration struct {
		Version     string `json:"version"`
		Description string `json:"description"`
	}
	list := []migration{}
	if len(applied) > 0 {
		// Only for the descriptions: what was applied is done, whatever this says.
		files, _ := migrator.Status(ctx, c.target())
		descriptions := map[string]string{}
		for _, f := range files {
			descriptions[f.Version] = f.Description
		}
		for _, v := range applied {
			list = append(list, migration{v, descriptions[v]})
		}
	}
	if a.json {
		return a.writeJSON(struct {
			Table   string      `json:"table"`
			Applied []migration `json:"applied"`
		}{c.table.String(), list})
	}
	if a.quiet {
		return nil
	}
	for _, m := range list {
		if err := a.print("applied %s %s\n", m.Version, m.Description); err != nil {
			return err
		}
	}
	if len(list) == 0 {
		return a.print("nothing to do: table %s is up to date\n", c.table)
	}
	return a.print("table %s is up to date\n", c.table)
}

// migrationState is what `migrate status` and `config check` tell.
type migrationState struct {
	files       []migrator.File
	tableExists bool
}

func (c *connection) migrationState(ctx context.Context) (s migrationState, err error) {
	if s.files, err = migrator.Status(ctx, c.target()); err != nil {
		return s, err
	}
	_, err = c.columns(ctx)
	if s.tableExists = err == nil; err != nil && exitCode(err) == exitTable {
		err = nil
	}
	return s, err
}

func (s migrationState) count(state migrator.State) (n int) {
	for _, f := range s.files {
		if f.State == state {
			n++
		}
	}
	return n
}

func (s migrationState) upToDate() bool {
	return s.tableExists && s.count(migrator.Applied) == len(s.files)
}

// foreign tells whether something else made the table.
func (s migrationState) foreign() bool {
	return s.tableExists && s.count(migrator.Pending) == len(s.files)
}

// summary is one line, with the way out.
func (s migrationState) summary(table fmt.Stringer) string {
	pending := s.count(migrator.Pending)
	switch {
	case s.upToDate():
		return fmt.Sprintf("table %s is up to date", table)
	case s.count(migrator.Altered) > 0:
		return fmt.Sprintf("table %s: a migration was altered after it was applied: use the release that applied it, or a newer one", table)
	case s.foreign():
		return fmt.Sprintf("table %s was made by something else: `entsession migrate adopt` prints the statements that adopt it", table)
	case !s.tableExists && pending == len(s.files):
		return fmt.Sprintf("table %s does not exist: `entsession migrate apply` makes it", table)
	case !s.tableExists:
		return fmt.Sprintf("table %s does not exist, although its migrations were applied: it was dropped or renamed", table)
	case s.count(migrator.Partial) > 0:
		return fmt.Sprintf("table %s: a migration was interrupted: `entsession migrate apply` goes on with it", table)
	}
	return fmt.Sprintf("table %s: %s pending: `entsession migrate apply` applies what is pending", table, count(int64(pending), "migration is", "migrations are"))
}

func (a *app) statusCommand() *cobra.Command {
	check := false
	cmd := &cobra.Command{
		Use:     "status",
		Short:   "Show what was applied and what is pending",
		Long:    statusHelp,
		Example: "  entsession migrate status --config app.yaml\n  entsession migrate status --check --quiet || exit 1   # before a new version of the application starts",
		Args:    noArguments,
		RunE: a.run(func(ctx context.Context, cmd *cobra.Command) (err error) {
			c, err := a.connect(ctx, cmd, false)
			if err != nil {
				return err
			}
			defer closing(c, &err)
			s, err := c.migrationState(ctx)
			if err != nil {
				return err
			}
			if err := a.printStatus(c, s); err != nil {
				return err
			}
			if check && !s.upToDate() {
				return &codedError{code: exitTable, err: errors.New(s.summary(c.table))}
			}
			a.remark("%s", s.summary(c.table))
			return nil
		}),
	}
	cmd.Flags().BoolVar(&check, "check", false, "exit with code 4 unless the table is up to date")
	return cmd
}

var stateNames = map[migrator.State]string{
	migrator.Pending: "pending", migrator.Applied: "applied", migrator.Partial: "partial", migrator.Altered: "altered",
}

func (a *app) printStatus(c *connection, s migrationState) error {
	type migration struct {
		Version     string  `json:"version"`
		Description string  `json:"description"`
		State       string  `json:"state"`
		AppliedAt   *string `json:"applied_at"`
		Statements  int     `json:"statements"`
		Done        int     `json:"done"`
	}
	if a.json {
		out := struct {
			Table      string      `json:"table"`
			Exists     bool        `json:"table_exists"`
			UpToDate   bool        `json:"up_to_date"`
			Migrations []migration `json:"migrations"`
		}{c.table.String(), s.tableExists, s.upToDate(), []migration{}}
		for _, f := range s.files {
			out.Migrations = append(out.Migrations, migration{f.Version, f.Description, stateNames[f.State], jsonTime(f.AppliedAt), f.Statements, f.Done})
		}
		return a.writeJSON(out)
	}
	g := a.grid()
	if err := g.row("VERSION", "STATE", "APPLIED", "DESCRIPTION"); err != nil {
		return err
	}
	for _, f := range s.files {
		if err := g.row(f.Version, stateNames[f.State], localTime(f.AppliedAt), f.Description); err != nil {
			return err
		}
	}
	return g.flush()
}

func (a *app) adoptCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "adopt",
		Short:   "Print the statements that adopt a table made by something else",
		Long:    adoptHelp,
		Example: "  entsession migrate adopt --config app.yaml > adopt.sql",
		Args:    noArguments,
		RunE: a.run(func(ctx context.Context, cmd *cobra.Command) (err error) {
			c, err := a.connect(ctx, cmd, false)
			if err != nil {
				return err
			}
			defer closing(c, &err)
			if _, err := c.columns(ctx); err != nil {
				return err
			}
			plan, err := migrator.Adopt(ctx, c.target())
			if err != nil {
				return err
			}
			if a.json {
				return a.writeJSON(struct {
					Table      string   `json:"table"`
					Statements []string `json:"statements"`
				}{c.table.String(), append([]string{}, plan...)})
			}
			if len(plan) == 0 {
				a.remark("nothing to do: the migrations made table %s", c.table)
			}
			for _, statement := range plan {
				if err := a.print("%s;\n", statement); err != nil {
					return err
				}
			}
			return nil
		}),
	}
}

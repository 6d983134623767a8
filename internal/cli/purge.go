package cli

import (
	"context"
	"log/slog"

	"github.com/spf13/cobra"
)

const purgeHelp = `Deletes the expired sessions of the application, and what is left of revoked ones whose grace
period is over, in small transactions. Live sessions are never touched, and the application may
go on meanwhile. Of several purges at a time, one works and the others wait for it.

It works whatever "autopurge" says. Stopping it is harmless: what was deleted stays deleted.

JSON: {"purged": number of rows}`

func (a *app) purgeCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "purge",
		Short:   "Delete expired sessions",
		Long:    purgeHelp,
		Example: "  entsession purge --config app.yaml\n  entsession purge --dsn sqlite:sessions.db --application shop --quiet",
		Args:    noArguments,
		RunE: a.run(func(ctx context.Context, cmd *cobra.Command) (err error) {
			cfg, _, err := a.configuration(cmd)
			if err != nil {
				return err
			}
			progress := a.progress()
			cfg.Logger = slog.New(progress)
			c, err := a.open(ctx, cfg, false)
			if err != nil {
				return err
			}
			defer closing(c, &err)
			n, err := c.Purge(ctx)
			progress.done()
			if err != nil && n == 0 {
				return err
			}
			// Also after an error: what was deleted is gone.
			if a.json {
				return both(err, a.writeJSON(map[string]int{"purged": n}))
			}
			if a.quiet {
				return err
			}
			return both(err, a.print("purged %s\n", count(int64(n), "row", "rows")))
		}),
	}
}

// closing closes a connection at the end of a command.
func closing(c *connection, err *error) {
	if closed := c.Close(); *err == nil {
		*err = closed
	}
}

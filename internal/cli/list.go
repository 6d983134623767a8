package cli

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/entsession/entsession"
)

const listHelp = `Shows the live sessions of the application, in no particular order: handle, creation, expiry, size
of the payload, and the columns that the application added. Not the id, which is a secret, nor the
payload.

The handle stands for the session in "entsession revoke --handle". It is the beginning of the
SHA-256 of what the table's id column holds, and signs nobody in.
` + selectionHelp + `

JSON: one object a line, {"handle", "created", "expires", "bytes", "columns": {…}}. Times are in
UTC; created is null in a table without that column; bytes in a column are base64.`

// widest is how many columns of the terminal an extra column takes at most.
const widest = 40

func (a *app) listCommand() *cobra.Command {
	var s selection
	var limit int
	var wide bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Show live sessions",
		Long:  listHelp,
		Example: `  entsession list --subject alice
  entsession list --where tenant=7 --null subject --limit 20
  entsession list --json | jq -r 'select(.bytes > 100000) | .handle'`,
		Args: noArguments,
		RunE: a.run(func(ctx context.Context, cmd *cobra.Command) (err error) {
			if err := s.check(cmd); err != nil {
				return err
			}
			if limit < 0 {
				return usage(errors.New("--limit is negative"))
			}
			c, err := a.connect(ctx, cmd, false)
			if err != nil {
				return err
			}
			defer closing(c, &err)
			where, err := c.selected(ctx, &s)
			if err != nil {
				return err
			}
			return a.printSessions(ctx, c, where, limit, wide)
		}),
	}
	s.flags(cmd)
	cmd.Flags().IntVar(&limit, "limit", 0, "show at most this `number` (default all)")
	cmd.Flags().BoolVar(&wide, "wide", false, "don't shorten long values")
	return cmd
}

func (a *app) printSessions(ctx context.Context, c *connection, where []predicate, limit int, wide bool) error {
	g, n := a.grid(3), 0
	for s, err := range c.List(ctx, where...) {
		if err != nil {
			return both(g.flush(), err) // what was read is right
		}
		if a.json {
			err = a.writeSession(s)
		} else {
			err = printSession(g, s, n == 0, wide)
		}
		if err != nil {
			return err
		}
		if n++; n == limit {
			break
		}
	}
	if n == 0 {
		a.remark("no live session")
	}
	return g.flush()
}

func (a *app) writeSession(s *entsession.Session) error {
	columns := map[string]any{}
	for _, c := range s.Columns() {
		columns[c.Name()] = jsonValue(c.Value())
	}
	return a.writeJSON(struct {
		Handle  string         `json:"handle"`
		Created *string        `json:"created"`
		Expires *string        `json:"expires"`
		Bytes   int            `json:"bytes"`
		Columns map[string]any `json:"columns"`
	}{handle(s.Key()), jsonTime(s.Created()), jsonTime(s.Expires()), len(s.Data), columns})
}

func printSession(g *grid, s *entsession.Session, header, wide bool) error {
	columns := s.Columns()
	if header {
		names := []string{"HANDLE", "CREATED", "EXPIRES", "SIZE"}
		for _, c := range columns {
			names = append(names, strings.ToUpper(printable(c.Name())))
		}
		if err := g.row(names...); err != nil {
			return err
		}
	}
	fields := []string{handle(s.Key()), localTime(s.Created()), localTime(s.Expires()), size(int64(len(s.Data)))}
	for _, c := range columns {
		text := value(c.Value())
		if !wide {
			text = shorten(text, widest)
		}
		fields = append(fields, text)
	}
	return g.row(fields...)
}

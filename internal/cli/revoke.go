package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

const revokeHelp = `Ends live sessions for good: their users have to sign in again, and no request that is under way
brings them back. Without a selection it refuses; --all means every session of the application.

It asks first, and does nothing unless the answer is yes. Where there is no terminal to ask on,
--yes is needed.
` + selectionHelp + `

JSON: {"revoked": number of sessions}`

// mostCounted is how far the question counts.
const mostCounted = 1000

func (a *app) revokeCommand() *cobra.Command {
	var s selection
	var all, yes bool
	cmd := &cobra.Command{
		Use:   "revoke",
		Short: "End live sessions for good",
		Long:  revokeHelp,
		Example: `  entsession revoke --subject alice
  entsession revoke --handle 3f9a1c2b7d5e8f60 --yes
  entsession revoke --all --application shop`,
		Args: noArguments,
		RunE: a.run(func(ctx context.Context, cmd *cobra.Command) (err error) {
			if err := s.check(cmd); err != nil {
				return err
			}
			switch {
			case all && len(s.given) > 0:
				return usage(fmt.Errorf("--all excludes %s", strings.Join(s.given, ", ")))
			case !all && len(s.given) == 0:
				return usage(errors.New("which sessions? Give --subject, --where, --null or --handle, or --all for every one"))
			case !yes && (!a.InIsTerminal || !a.ErrIsTerminal):
				return usage(errors.New("nobody to ask: there is no terminal; give --yes"))
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
			if !yes {
				if err := a.confirm(ctx, c, where); err != nil {
					return err
				}
			}
			n, err := c.Revoke(ctx, where...)
			if err != nil && n == 0 {
				return err
			}
			return both(err, a.printRevoked(n))
		}),
	}
	s.flags(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "every live session of the application")
	cmd.Flags().BoolVar(&yes, "yes", false, "don't ask")
	return cmd
}

func (a *app) printRevoked(n int) error {
	if a.json {
		return a.writeJSON(map[string]int{"revoked": n})
	}
	if a.quiet {
		return nil
	}
	return a.print("revoked %s\n", count(int64(n), "session", "sessions"))
}

// confirm asks, and returns an error unless the answer is yes.
func (a *app) confirm(ctx context.Context, c *connection, where []predicate) error {
	n := int64(0)
	for _, err := range c.List(ctx, where...) {
		if err != nil {
			return err
		}
		if n++; n > mostCounted {
			break
		}
	}
	many := count(n, "session", "sessions")
	switch {
	case n == 0:
		many = "what matches by then (now: no session)"
	case n > mostCounted:
		many = "more than " + count(mostCounted, "session", "sessions")
	}
	of := ""
	if c.cfg.Application != "" {
		of = fmt.Sprintf(" of application %s", printable(c.cfg.Application))
	}
	fmt.Fprintf(a.Err, "Revoke %s%s in table %s? [y/N] ", many, of, c.table)
	answer, err := a.readLine(ctx)
	if !strings.HasSuffix(answer, "\n") {
		fmt.Fprintln(a.Err)
	}
	if err != nil {
		return err
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return errors.New("nothing was revoked")
}

// readLine reads a line, until the context ends. The end of the input is an empty line.
func (a *app) readLine(ctx context.Context) (string, error) {
	line := make(chan string, 1)
	go func() { // outlives an interrupted question: the process ends then
		text, _ := bufio.NewReader(a.In).ReadString('\n')
		line <- text
	}()
	select {
	case text := <-line:
		return text, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// Package cli is the command line, which cmd/entsession runs.
//
// This file has the root command and what all commands share; each command has a file of its own. exit.go says how
// errors become exit codes, config.go where the configuration comes from, connect.go how a command gets at the
// database, selection.go which sessions are meant, and table.go, text.go and progress.go what a person sees.
package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"
)

// Streams is what a command reads and writes.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer

	InIsTerminal, ErrIsTerminal bool
}

// Terminal is the process's own streams.
func Terminal() Streams {
	return Streams{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
		InIsTerminal: isTerminal(os.Stdin), ErrIsTerminal: isTerminal(os.Stderr),
	}
}

func isTerminal(f *os.File) bool { return isatty.IsTerminal(f.Fd()) || isatty.IsCygwinTerminal(f.Fd()) }

// app is one run of the command line.
type app struct {
	Streams
	out *bufio.Writer // Streams.Out

	config, dsn, table, application string
	json, quiet                     bool
	timeout                         time.Duration

	running bool // a command has begun: before that, every error is one of usage
}

// Run runs a command line and returns the exit code. It writes errors to the error stream, one a line.
func Run(ctx context.Context, args []string, streams Streams) int {
	a := &app{Streams: streams, out: bufio.NewWriter(streams.Out)}
	root := a.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err != nil && !a.running {
		err = usage(err)
		a.json = a.json || wantsJSON(args)
	}
	if flushed := a.out.Flush(); err == nil && flushed != nil {
		err = written(flushed)
	}
	return a.report(err)
}

// wantsJSON looks for --json among arguments that could not be parsed.
func wantsJSON(args []string) bool {
	for _, arg := range args {
		switch arg {
		case "--json", "--json=true":
			return true
		case "--":
			return false
		}
	}
	return false
}

const rootHelp = `entsession looks after the sessions that applications keep in a SQL database: it makes and
migrates the table, purges expired sessions, lists, revokes and counts.

It never shows the id of a session, which is a secret, nor a payload, nor a password.

Which database, table and application:
  --config FILE, or --dsn URL, or else the environment (ENTSESSION_DSN, ENTSESSION_CONFIG,
  ENTSESSION_DATABASE and so on). A flag leaves the environment's ENTSESSION_* variables unread.
  --table and --application go before what any of these says.
  "entsession help configuration" lists all options.

Exit codes:
  0    done
  1    failed
  2    wrong usage, or a configuration that is wrong
  3    the database can't be reached, or refuses the login
  4    the table is missing or not up to date, or a migration was altered (migrate status
       tells so with --check only)
  5    --handle fits no live session, or several
  130  interrupted (SIGINT); 143 ended (SIGTERM)`

const rootExample = `  entsession migrate apply --dsn sqlite:sessions.db
  entsession list --subject alice
  entsession revoke --subject alice --yes
  entsession stats --json --config app.yaml`

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "entsession",
		Short:         "Look after sessions in a SQL database",
		Long:          rootHelp,
		Example:       rootExample,
		Version:       readVersion().Version,
		Args:          noArguments,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetOut(a.out)
	root.SetErr(a.Err)
	root.SetIn(a.In)
	root.SetFlagErrorFunc(flagError)
	root.SetVersionTemplate("entsession {{.Version}}\n")
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)

	flags := root.PersistentFlags()
	flags.SortFlags = false
	flags.StringVar(&a.config, "config", "", "read the configuration from this YAML `file`")
	flags.StringVar(&a.dsn, "dsn", "", "the database's `URL`; other users may see it in the list of processes: have it name\nthe password's place, as in ?password_env=DB_PASSWORD")
	flags.StringVar(&a.table, "table", "", "the sessions table, or schema.table, whatever the configuration says")
	flags.StringVar(&a.application, "application", "", "the application whose sessions are meant, whatever the configuration says")
	flags.BoolVar(&a.json, "json", false, "write JSON, one object a line; errors too: {\"error\": …, \"exit_code\": …}")
	flags.BoolVar(&a.quiet, "quiet", false, "write nothing but what was asked for, and errors")
	flags.DurationVar(&a.timeout, "timeout", 0, "give up after this `duration`, such as 30s (default none)")
	_ = root.MarkPersistentFlagFilename("config", "yaml", "yml") // the flag is there: it can't fail

	root.AddCommand(a.migrateCommand(), a.purgeCommand(), a.listCommand(), a.revokeCommand(), a.statsCommand(),
		a.configCommand(), a.versionCommand(), configurationTopic())
	return root
}

// run is the body of a command that asks something of the database, or could.
func (a *app) run(f func(ctx context.Context, cmd *cobra.Command) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, _ []string) error {
		a.running = true
		ctx := cmd.Context()
		switch {
		case cmd.Flags().Changed("config") && cmd.Flags().Changed("dsn"):
			return usage(fmt.Errorf("--config and --dsn exclude each other"))
		case a.timeout < 0:
			return usage(fmt.Errorf("--timeout: %s is negative", a.timeout))
		case a.timeout > 0:
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeoutCause(ctx, a.timeout, &timeoutError{a.timeout})
			defer cancel()
		}
		err := f(ctx, cmd)
		if err != nil && ctx.Err() != nil {
			err = &endedError{cause: context.Cause(ctx), err: err}
		}
		return err
	}
}

// group is a command that only has others.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use:   use,
		Short: short,
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var names []string
			for _, c := range cmd.Commands() {
				names = append(names, c.Name())
			}
			return fmt.Errorf("%s: which command? %s", cmd.CommandPath(), strings.Join(names, ", "))
		},
	}
	cmd.AddCommand(commands...)
	return cmd
}

var word = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]{0,30}$`)

// noArguments refuses them, and repeats only what can't be a DSN with its password.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if !word.MatchString(args[0]) {
		return fmt.Errorf("%s takes no arguments; a database is named by --dsn or --config", cmd.CommandPath())
	}
	if !cmd.HasAvailableSubCommands() {
		return fmt.Errorf("%s takes no arguments, %q is one", cmd.CommandPath(), args[0])
	}
	cmd.SuggestionsMinimumDistance = 2
	hint := ""
	if similar := cmd.SuggestionsFor(args[0]); len(similar) > 0 {
		hint = fmt.Sprintf("; did you mean %q?", strings.Join(similar, `" or "`))
	}
	return fmt.Errorf("%q is not a command of %s%s", args[0], cmd.CommandPath(), hint)
}

// writeJSON writes one line.
func (a *app) writeJSON(v any) error {
	e := json.NewEncoder(a.out)
	e.SetEscapeHTML(false)
	return written(e.Encode(v))
}

// print writes to the output.
func (a *app) print(format string, args ...any) error {
	_, err := fmt.Fprintf(a.out, format, args...)
	return written(err)
}

// remark says something beside the output.
func (a *app) remark(format string, args ...any) {
	if !a.quiet && !a.json {
		_ = a.out.Flush() // what comes before it; an error stays for the end
		fmt.Fprintf(a.Err, format+"\n", args...)
	}
}

func written(err error) error {
	if err != nil {
		return &writeError{err}
	}
	return nil
}

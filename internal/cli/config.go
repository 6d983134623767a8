package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/config"
)

// configuration reads the configuration, with the flags applied, and says where it comes from.
func (a *app) configuration(cmd *cobra.Command) (cfg entsession.Config, source string, err error) {
	flags := cmd.Flags()
	switch {
	case flags.Changed("config"):
		source = a.config
		cfg, err = config.File(a.config)
	case flags.Changed("dsn"):
		source = "--dsn"
		cfg, err = config.DSN(a.dsn)
	default:
		source = "environment"
		cfg, err = config.Env("")
	}
	if err != nil {
		return cfg, source, wrongConfig(err)
	}
	if flags.Changed("table") {
		if a.table == "" {
			return cfg, source, usage(errors.New("--table is empty"))
		}
		cfg.Table = a.table
	}
	if flags.Changed("application") {
		cfg.Application = a.application
	}
	if cfg.Database == "" {
		err := errors.New("session.store.options.database is missing in " + source)
		if source == "--dsn" {
			err = errors.New("--dsn names no database")
		} else if source == "environment" {
			err = errors.New(`which database? Give --config FILE or --dsn URL, or set ENTSESSION_DSN (see "entsession help configuration")`)
		}
		return cfg, source, usage(err)
	}
	if _, err := cfg.WithDefaults(); err != nil {
		return cfg, source, wrongConfig(err)
	}
	return cfg, source, nil
}

const configurationHelp = `The configuration says which database, table and application, and how the store works.
It comes from one of these, the first that is given:

  --config FILE   a YAML file
  --dsn URL       such as postgres://app@db.example/shop?table=app.sessions&password_env=DB_PASSWORD,
                  mysql://app@db.example/shop, or sqlite:sessions.db, sqlite:///var/lib/shop/sessions.db
  environment     ENTSESSION_DSN or ENTSESSION_CONFIG, and one variable for each option, which goes
                  before those two: ENTSESSION_DATABASE, ENTSESSION_TABLE and so on

The flags --table and --application go before all of them. Parameters of a URL that are no option
of this list are handed to the database's driver.

The YAML file, in which other keys may stand beside "session" and beside "store":

%s
Options:

%s`

// configurationTopic is a page of help: a command that can't be run.
func configurationTopic() *cobra.Command {
	var list strings.Builder
	for _, o := range config.Options() {
		name := o.Name
		if o.Alias != "" {
			name += ", or " + o.Alias
		}
		doc := strings.ReplaceAll(o.Doc, "`", "")
		fmt.Fprintf(&list, "  %s\n%s      %s; default: %s\n", name, wrap(doc, 90, "      "), o.Type, strings.ReplaceAll(o.Default, "`", ""))
	}
	return &cobra.Command{
		Use:   "configuration",
		Short: "The options, and where they are read from",
		Long:  fmt.Sprintf(configurationHelp, indent(config.Example, "  "), strings.TrimRight(list.String(), "\n")),
	}
}

func indent(text, by string) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(by+line, " ")
	}
	return strings.Join(lines, "\n") + "\n"
}

// wrap breaks text into lines.
func wrap(text string, width int, by string) string {
	var out strings.Builder
	line := by
	for _, w := range strings.Fields(text) {
		if len(line)+1+len(w) > width && line != by {
			out.WriteString(line + "\n")
			line = by
		}
		if line != by {
			line += " "
		}
		line += w
	}
	return out.String() + line + "\n"
}

package config

import (
	"math"
	"slices"
	"strings"
	"time"
)

// Option describes one option: a key in YAML, a parameter of a DSN's query, and, in capitals behind the prefix, a variable
// of the environment.
type Option struct {
	Name    string
	Alias   string // another name, "" for none
	Type    string
	Default string
	Doc     string
}

// Options returns every option, in the order in which they are documented. "driver" stands beside "options" in YAML and
// is the scheme of a DSN; all others stand in "options".
func Options() []Option {
	all := make([]Option, len(table))
	for i := range table {
		all[i] = table[i].Option
	}
	return all
}

// option is a row of the table: how an option gets into a Config and out of it.
type option struct {
	Option
	shape  shape
	secret bool
	group  string // the option that this one is another way to give
	set    func(*draft, input) error
	get    func(*draft) string // "" when it is not set
}

func row[T any](name string, field func(*draft) *T, k kind[T], typ, def, doc string) option {
	return option{
		Option: Option{Name: name, Type: typ, Default: def, Doc: doc},
		shape:  k.shape,
		set: func(d *draft, in input) error {
			v, err := k.parse(in)
			if err == nil {
				*field(d) = v
			}
			return err
		},
		get: func(d *draft) string { return k.text(*field(d)) },
	}
}

func (o option) alias(name string) option { o.Alias = name; return o }

func (o option) password() option { o.group, o.secret = "password", true; return o }

const (
	tString    = "string"
	tInteger   = "whole number"
	tBool      = "boolean"
	tSeconds   = "seconds or duration"
	tWhole     = "whole seconds or duration"
	noLimit    = "none"
	anyInteger = math.MaxInt32
)

var table = []option{
	row("driver", func(d *draft) *string { return &d.Driver }, driver(), tString, "postgres",
		"The database: `postgres` (`postgresql`, `pg`), `mysql` (`mariadb`) or `sqlite` (`sqlite3`), or a historic name that ends "+
			"in `::Pg`, `::MySQL` or `::SQLite`."),
	row("table", func(d *draft) *string { return &d.Table }, text(0), tString, "sessions",
		"The sessions table, or `schema.table`; each part has at most 63 bytes."),
	row("database", func(d *draft) *string { return &d.Database }, place(), tString, "required",
		"The name of the database; for SQLite the file."),
	row("username", func(d *draft) *string { return &d.Username }, text(0), tString, "the user running the program",
		"Who connects. SQLite has none."),
	row("password", func(d *draft) *string { return &d.Password }, secret(), tString, noLimit,
		"The password, taken literally. PostgreSQL without one looks into `~/.pgpass`.").password(),
	row("password_file", func(d *draft) *string { return &d.passwordFile }, text(0), "path", noLimit,
		"Instead of `password`: a file that holds it. A newline at its end is not part of it.").password(),
	row("password_env", func(d *draft) *string { return &d.passwordEnv }, text(0), tString, noLimit,
		"Instead of `password`: the environment variable that holds it.").password(),
	row("hostname", func(d *draft) *string { return &d.Hostname }, place(), tString, "localhost",
		"A host, an address, or the directory (PostgreSQL) or path (MySQL) of a Unix socket. PostgreSQL takes several, "+
			"separated by commas."),
	row("port", func(d *draft) *int { return &d.Port }, integer(1, 65535), "1 to 65535", "the database's own",
		"The TCP port: 5432 for PostgreSQL and 3306 for MySQL unless given."),
	row("charset", func(d *draft) *string { return &d.Charset }, text(0), tString, "UTF-8",
		"The connection's character set. `utf8` means all of UTF-8 on MySQL too."),
	row("connection_check_threshold", func(d *draft) *time.Duration { return &d.ConnectionCheckThreshold },
		duration(false, always), tSeconds, "30",
		"How long a connection may idle before it is checked on its next use; 0 checks before every use."),
	row("expiration_timeout", func(d *draft) *time.Duration { return &d.ExpirationTimeout },
		duration(true, refused), tWhole, "1800",
		"How long a session lives after its last renewal.").alias("timeout"),
	row("autopurge", func(d *draft) *bool { return &d.DisableAutopurge }, enabled(), tBool, "1",
		"Whether calls purge expired sessions now and then; 0 leaves that to `Purge` and `entsession purge`."),
	row("autopurge_probability", func(d *draft) *float64 { return &d.AutopurgeProbability }, probability(), "0 to 1", "0.1",
		"The chance that a call wakes the purge; 0 means never."),
	row("application", func(d *draft) *string { return &d.Application }, text(255), tString, noLimit,
		"Separates applications that share one table: each sees and purges its own sessions only. At most 255 characters."),
	row("on_connect", func(d *draft) *[]string { return &d.OnConnect }, statements(), "list of strings, or a string", noLimit,
		"SQL statements that run on every new connection, before anything else."),
	row("params", func(d *draft) *map[string]string { return &d.Params }, parameters(), "map of strings", noLimit,
		"Whatever else the driver's DSN takes, such as `{sslmode: verify-full}`.").alias("dsn_extra"),

	row("hash_ids", func(d *draft) *bool { return &d.PlainIDs }, enabled(), tBool, "1",
		"Whether only the SHA-256 of an id is stored. 0 is for tables whose ids were stored as they are: who can read "+
			"such a table can take over its sessions."),
	row("touch_interval", func(d *draft) *time.Duration { return &d.TouchInterval },
		duration(true, always), tWhole, "a tenth of `expiration_timeout`, at most 60",
		"A renewal that would move the expiry by less is left out; 0 renews at every call."),
	row("max_lifetime", func(d *draft) *time.Duration { return &d.MaxLifetime }, duration(true, none), tWhole, noLimit,
		"Ends a session that long after its creation, however often it is renewed."),
	row("max_data_bytes", func(d *draft) *int { return &d.MaxDataBytes }, integer(1, anyInteger), tInteger, "1048576",
		"The largest payload taken, in bytes."),
	row("max_open_conns", func(d *draft) *int { return &d.MaxOpenConns }, integer(1, anyInteger), tInteger, "16; SQLite 4",
		"The most connections open at a time."),
	row("max_idle_conns", func(d *draft) *int { return &d.MaxIdleConns }, integer(1, anyInteger), tInteger, "`max_open_conns`",
		"How many connections are kept for later."),
	row("conn_max_lifetime", func(d *draft) *time.Duration { return &d.ConnMaxLifetime },
		duration(false, none), tSeconds, noLimit,
		"Closes a connection that is older."),
	row("conn_max_idle_time", func(d *draft) *time.Duration { return &d.ConnMaxIdleTime },
		duration(false, none), tSeconds, noLimit,
		"Closes a connection that idled longer."),
	row("statement_timeout", func(d *draft) *time.Duration { return &d.StatementTimeout },
		duration(false, off), tSeconds, "30",
		"Bounds each statement, the wait for a connection included; 0 or `none` means no bound."),
	row("batching", func(d *draft) *bool { return &d.DisableBatching }, enabled(), tBool, "1",
		"Whether calls that have to wait for the database anyway travel together; 0 sends each as a statement of its own."),
	row("max_queue", func(d *draft) *int { return &d.MaxQueue }, integer(1, anyInteger), tInteger, "10000",
		"How many calls of one kind may wait for a place in a batch; one more is refused at once."),
	row("purge_batch", func(d *draft) *int { return &d.PurgeBatch }, integer(1, 10_000), "1 to 10000", "500",
		"How many rows one purging transaction deletes at most."),
	row("purge_interval", func(d *draft) *time.Duration { return &d.PurgeInterval },
		duration(false, off), tSeconds, "60",
		"The least time between two automatic purges of a store; 0 or `none` means no such limit."),
	row("purge_grace", func(d *draft) *time.Duration { return &d.PurgeGrace },
		duration(true, off), tWhole, "600",
		"How long the row of a revoked session stays behind, without its payload; 0 or `none` lets the next purge take it."),
}

// lookup finds an option by its name or alias.
func lookup(name string) *option {
	for i := range table {
		if o := &table[i]; name == o.Name || name == o.Alias && name != "" {
			return o
		}
	}
	return nil
}

// names lists the names and aliases of the options, without those that are left out.
func names(leftOut ...string) []string {
	var all []string
	for _, o := range table {
		for _, n := range []string{o.Name, o.Alias} {
			if n != "" && !slices.Contains(leftOut, n) {
				all = append(all, n)
			}
		}
	}
	return all
}

// variables lists names as variables of the environment.
func variables(prefix string, names []string) []string {
	all := make([]string, len(names))
	for i, n := range names {
		all[i] = prefix + strings.ToUpper(n)
	}
	return all
}

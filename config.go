package entsession

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"time"
)

// Config says where the sessions are and how long they live. Its zero value of every field but Database is a
// working default. Package config reads it from a YAML file, a DSN or the environment.
type Config struct {
	// Driver is the database: "postgres", "mysql" (MySQL and MariaDB) or "sqlite". The last two need their package
	// imported: _ "github.com/entsession/entsession/sqlite". The historic names that end in ::Pg, ::MySQL and ::SQLite are
	// understood. New takes it from the driver it is given. Defaults to "postgres".
	Driver string

	// Database is the name of the database; for SQLite the file. Required by Open.
	Database string
	// Username defaults to the user running the program. SQLite has none.
	Username string
	// Password defaults to none (PostgreSQL then looks into ~/.pgpass).
	Password string
	// Hostname is a host, an address, or the directory (PostgreSQL) or path (MySQL) of a unix socket. PostgreSQL takes several,
	// separated by commas. Defaults to "localhost".
	Hostname string
	// Port defaults to the database's own: 5432, 3306.
	Port int
	// Charset of the connection. Defaults to UTF-8, which is what PostgreSQL and SQLite always use; "utf8" means all of UTF-8
	// on MySQL too (utf8mb4).
	Charset string
	// Params are handed to the driver's DSN as they are, such as {"sslmode": "verify-full"}.
	Params map[string]string
	// OnConnect are statements run on every new connection, before anything else.
	OnConnect []string

	// Table is the sessions table, or schema.table. Each part has at most 63 bytes. Defaults to "sessions".
	Table string
	// Application separates several applications that share one table: each sees, lists, revokes and purges its own
	// sessions only. At most 255 characters. Defaults to "".
	Application string

	// ExpirationTimeout is how long a session lives after its last renewal, in whole seconds. Defaults to 30 minutes.
	ExpirationTimeout time.Duration
	// TouchInterval makes renewals coarse: one that would move the expiry by less is left out, and one that is made
	// adds it on top, so that a session lives for at least ExpirationTimeout and at most TouchInterval more. In whole
	// seconds. Defaults to a tenth of ExpirationTimeout, at most one minute; a negative value renews at every call.
	TouchInterval time.Duration
	// MaxLifetime ends a session that long after its creation, however often it is renewed. In whole seconds. Defaults
	// to none.
	MaxLifetime time.Duration
	// MaxDataBytes is the largest payload taken, in bytes. Defaults to 1 MiB.
	MaxDataBytes int
	// PlainIDs stores the client's id as it is and not its SHA-256 (hash_ids: 0): for a table whose sessions were
	// stored that way by something else. Who can read the table can then take over its sessions.
	PlainIDs bool

	// ConnectionCheckThreshold is how long a connection may idle before it is checked on its next use, and replaced when it
	// is dead. Defaults to 30 seconds; a negative value checks before every use. New leaves this to the driver it is given.
	ConnectionCheckThreshold time.Duration
	// MaxOpenConns bounds the pool. Defaults to 16; for SQLite to 4. New leaves this to the driver it is given.
	MaxOpenConns int
	// MaxIdleConns is how many connections the pool keeps. Defaults to MaxOpenConns.
	MaxIdleConns int
	// ConnMaxLifetime closes a connection that is older. Defaults to none.
	ConnMaxLifetime time.Duration
	// ConnMaxIdleTime closes a connection that idled longer. Defaults to none.
	ConnMaxIdleTime time.Duration
	// StatementTimeout bounds each statement, the wait for a connection included, within the caller's context. Defaults to 30
	// seconds; a negative value means none.
	StatementTimeout time.Duration

	// DisableBatching sends each call as a statement of its own, always (batching: 0). Otherwise calls that have to wait for the
	// database anyway travel together; a call that need not wait is a statement of its own, at once.
	DisableBatching bool
	// MaxQueue is how many calls may wait for a place in a batch, of each kind (loads, saves and so on). A call beyond is
	// ErrOverloaded, at once. Defaults to 10,000.
	MaxQueue int

	// DisableAutopurge leaves expired rows to Purge and to the command line (autopurge: 0).
	DisableAutopurge bool
	// AutopurgeProbability is the chance that a call wakes the purge. Defaults to 0.1; a negative value means never.
	AutopurgeProbability float64
	// PurgeBatch is how many rows one purging transaction deletes at most. Defaults to 500.
	PurgeBatch int
	// PurgeInterval is the least time between two automatic purges of this store. Defaults to one minute; a negative
	// value means none.
	PurgeInterval time.Duration
	// PurgeGrace is how long the row of a revoked session stays behind, without its payload, in whole seconds: longer than
	// any request takes. Defaults to ten minutes; a negative value means none.
	PurgeGrace time.Duration

	// ColumnsFunc gives extra columns from the context of a Create, Save, Update or Rotate, such as the client's address, and of what an adapter
	// writes for a session manager. Columns that the call itself names win; a Save writes those that differ from what was loaded. It is called by
	// many goroutines at once, and must not call the store. Package httpcolumns has one for net/http. Defaults to none.
	ColumnsFunc func(ctx context.Context) []Column `yaml:"-"`

	// Hooks hear of sessions that begin and end, after the commit and off the call's path. Defaults to none.
	Hooks Hooks `yaml:"-"`
	// Observer is asked, when a store is made, who is to hear of what it does: see package otelsession for OpenTelemetry. Defaults to none, which
	// costs nothing.
	Observer func(*Store) *Observer `yaml:"-"`

	// Rand draws from [0, 1) for the purge; it is called by many goroutines at once. Defaults to math/rand/v2.
	Rand func() float64
	// Logger hears what an operator has to know: an automatic purge that failed, a database that is away and is back, calls that were refused
	// because too many wait. The lines of one kind come once a minute at most; docs/observability.md lists them and their attributes. Never an
	// id, never a payload. Defaults to silence.
	Logger *slog.Logger
}

// Format prints the configuration without the password, whatever the verb, and without those Params that seem to be secrets.
func (c Config) Format(f fmt.State, verb rune) {
	type plain Config
	const hidden = "***"
	if c.Password != "" {
		c.Password = hidden
	}
	if len(c.OnConnect) > 0 {
		c.OnConnect = []string{hidden} // a statement may hold a secret
	}
	c.Params = maps.Clone(c.Params)
	for name := range c.Params {
		for _, secret := range []string{"pass", "secret", "token"} {
			if strings.Contains(strings.ToLower(name), secret) {
				c.Params[name] = hidden
			}
		}
	}
	c.Rand, c.Logger, c.ColumnsFunc, c.Observer, c.Hooks = nil, nil, nil, nil, Hooks{Queue: c.Hooks.Queue} // of which only addresses would be seen
	fmt.Fprintf(f, fmt.FormatString(f, verb), plain(c))
}

// LogValue logs what Format prints.
func (c Config) LogValue() slog.Value { return slog.StringValue(fmt.Sprintf("%+v", c)) }

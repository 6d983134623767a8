package entsession

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"
	"unicode/utf8"

	"entgo.io/ent/dialect"

	"github.com/entsession/entsession/internal/backend"
	"github.com/entsession/entsession/internal/stmt"
)

// The defaults, as the fields of Config state them.
const (
	defaultTable            = "sessions"
	defaultHostname         = "localhost"
	defaultExpiration       = 30 * time.Minute
	defaultTouchInterval    = time.Minute
	defaultMaxDataBytes     = 1 << 20
	defaultCheckThreshold   = 30 * time.Second
	defaultStatementTimeout = 30 * time.Second
	defaultMaxQueue         = 10_000
	defaultHookQueue        = 10_000
	defaultPurgeProbability = 0.1
	defaultPurgeBatch       = 500
	defaultPurgeInterval    = time.Minute
	defaultPurgeGrace       = 10 * time.Minute
)

// WithDefaults returns the configuration that Open would work with: every zero value replaced by its default, "negative
// means none" by zero, which is why it is not to be given to Open again. All that is wrong with it comes back as one error, a line for each field.
func (c Config) WithDefaults() (Config, error) {
	var errs []error
	bad := func(field string, value any, rule string) {
		errs = append(errs, wrong(field, "%v %s", value, rule))
	}
	seconds := func(field string, d *time.Duration, byDefault time.Duration, negative bool) {
		switch {
		case *d == 0:
			*d = byDefault
		case *d < 0 && negative:
			*d = 0
		case *d < 0:
			bad(field, *d, "is negative")
		case *d%time.Second != 0:
			bad(field, *d, "is not in whole seconds, which is what the database keeps")
		case *d > math.MaxInt32*time.Second:
			bad(field, *d, "is longer than 68 years")
		}
	}
	duration := func(d *time.Duration, byDefault time.Duration) {
		switch {
		case *d == 0:
			*d = byDefault
		case *d < 0:
			*d = 0
		}
	}
	count := func(field string, n *int, byDefault int) {
		if *n < 0 {
			bad(field, *n, "is negative")
		}
		if *n == 0 {
			*n = byDefault
		}
	}

	driver, err := driverName(c.Driver)
	if err != nil {
		errs = append(errs, err)
	}
	c.Driver = driver
	if c.Table == "" {
		c.Table = defaultTable
	}
	if schema, _, err := stmt.ParseName(c.Table); err != nil {
		errs = append(errs, wrong("Table", "%w", err))
	} else if schema != "" && driver == "sqlite" && schema != "main" {
		bad("Table", fmt.Sprintf("%q", c.Table), "names a schema, and SQLite has none: give the table alone")
	}
	if n := utf8.RuneCountInString(c.Application); n > 255 {
		bad("Application", fmt.Sprintf("a name of %d characters", n), "is too long: 255 are allowed")
	} else if !utf8.ValidString(c.Application) || strings.ContainsRune(c.Application, 0) {
		bad("Application", fmt.Sprintf("%q", c.Application), "is not UTF-8 text without NUL")
	} else if strings.TrimRight(c.Application, " ") != c.Application {
		bad("Application", fmt.Sprintf("%q", c.Application), "ends in a blank, which MySQL ignores in comparisons")
	}
	if c.Port < 0 || c.Port > 65535 {
		bad("Port", c.Port, "is not between 1 and 65535")
	}
	if c.Hostname == "" && driver != "sqlite" {
		c.Hostname = defaultHostname
	}

	seconds("ExpirationTimeout", &c.ExpirationTimeout, defaultExpiration, false)
	tenth := (c.ExpirationTimeout / 10).Truncate(time.Second)
	if tenth == 0 {
		tenth = -1
	}
	seconds("TouchInterval", &c.TouchInterval, min(defaultTouchInterval, tenth), true)
	c.TouchInterval = max(c.TouchInterval, 0)
	seconds("MaxLifetime", &c.MaxLifetime, 0, false)
	seconds("PurgeGrace", &c.PurgeGrace, defaultPurgeGrace, true)
	duration(&c.ConnectionCheckThreshold, defaultCheckThreshold)
	duration(&c.StatementTimeout, defaultStatementTimeout)
	duration(&c.PurgeInterval, defaultPurgeInterval)
	if c.ConnMaxLifetime < 0 {
		bad("ConnMaxLifetime", c.ConnMaxLifetime, "is negative")
	}
	if c.ConnMaxIdleTime < 0 {
		bad("ConnMaxIdleTime", c.ConnMaxIdleTime, "is negative")
	}
	count("MaxDataBytes", &c.MaxDataBytes, defaultMaxDataBytes)
	count("MaxQueue", &c.MaxQueue, defaultMaxQueue)
	count("Hooks.Queue", &c.Hooks.Queue, defaultHookQueue)
	count("PurgeBatch", &c.PurgeBatch, defaultPurgeBatch)
	if c.PurgeBatch > 10_000 {
		bad("PurgeBatch", c.PurgeBatch, "is more than 10000, the most that one statement takes on every database")
	}
	pool := 0
	if b, err := backend.Lookup(driver); err == nil {
		pool = b.MaxOpenConns
	}
	count("MaxOpenConns", &c.MaxOpenConns, pool)
	count("MaxIdleConns", &c.MaxIdleConns, c.MaxOpenConns)

	switch p := c.AutopurgeProbability; {
	case p > 1 || math.IsNaN(p):
		bad("AutopurgeProbability", p, "is not between 0 and 1")
	case p == 0:
		c.AutopurgeProbability = defaultPurgeProbability
	case p < 0:
		c.AutopurgeProbability = 0
	}
	if c.Rand == nil {
		c.Rand = rand.Float64
	}
	return c, errors.Join(errs...)
}

// driverName understands the historic names too.
func driverName(name string) (string, error) {
	last := name
	if i := strings.LastIndex(name, "::"); i >= 0 {
		last = name[i+2:]
	}
	switch strings.ToLower(last) {
	case "", "postgres", "postgresql", "pg", "pgx":
		return "postgres", nil
	case "mysql", "mariadb":
		return "mysql", nil
	case "sqlite", "sqlite3":
		return "sqlite", nil
	}
	return name, wrong("Driver", "%q is unknown: use postgres, mysql or sqlite", name)
}

// dialects maps ent's names to ours.
var dialects = map[string]string{dialect.Postgres: "postgres", dialect.MySQL: "mysql", dialect.SQLite: "sqlite"}

// policy is the part of the configuration that the statements are rendered from.
func (c Config) policy() stmt.Policy {
	return stmt.Policy{
		Expiration:  int64(c.ExpirationTimeout / time.Second),
		Touch:       int64(c.TouchInterval / time.Second),
		MaxLifetime: int64(c.MaxLifetime / time.Second),
		Grace:       int64(c.PurgeGrace / time.Second),
	}
}

// settings is the part that the connector is made from.
func (c Config) settings() backend.Settings {
	return backend.Settings{
		Database: c.Database, Username: c.Username, Password: c.Password, Hostname: c.Hostname, Port: c.Port,
		Charset: c.Charset, Params: c.Params, OnConnect: c.OnConnect, CheckThreshold: c.ConnectionCheckThreshold,
	}
}

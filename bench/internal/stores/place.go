package stores

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"entgo.io/ent/dialect"

	"github.com/entsession/entsession"
)

// The databases.
const (
	Postgres = "postgres"
	MariaDB  = "mariadb"
	SQLite   = "sqlite"
	Redis    = "redis"
)

var dialects = map[string]string{Postgres: dialect.Postgres, MariaDB: dialect.MySQL, SQLite: dialect.SQLite}

// Place is an empty database and the way to it.
type Place struct {
	Kind     string
	User     string
	Password string
	Name     string

	// Socket is the path of a Unix socket (for PostgreSQL its directory), used when Host is empty.
	Socket string
	Host   string
	Port   int

	File string // SQLite's

	Dir string // of the run, for files; it is removed at the end
}

// config is how the store of this module is told of the place.
func (p Place) config(conns int) entsession.Config {
	cfg := entsession.Config{DisableAutopurge: true}
	if p.Kind == SQLite {
		cfg.Driver, cfg.Database = "sqlite", p.File
		return cfg
	}
	cfg.Driver = map[string]string{Postgres: "postgres", MariaDB: "mysql"}[p.Kind]
	cfg.Database, cfg.Username, cfg.Password, cfg.MaxOpenConns = p.Name, p.User, p.Password, conns
	cfg.Hostname, cfg.Port = p.Host, p.Port
	if p.Host == "" {
		cfg.Hostname = p.Socket
		if p.Kind == MariaDB {
			cfg.Port = 0
		}
	}
	if p.Kind == Postgres {
		cfg.Params = map[string]string{"sslmode": "disable"}
	}
	return cfg
}

// driver and dsn are for the same way to the same place without our store, with the driver settings that it has.
func (p Place) driver() string {
	return map[string]string{Postgres: "pgx", MariaDB: "mysql", SQLite: "sqlite"}[p.Kind]
}

func (p Place) dsn() string {
	switch p.Kind {
	case Postgres:
		host := p.Host
		if host == "" {
			host = p.Socket
		}
		return fmt.Sprintf("host=%s port=%d user=%s password=%s dbname=%s sslmode=disable", host, p.Port, p.User, p.Password, p.Name)
	case MariaDB:
		way := "unix(" + p.Socket + ")"
		if p.Host != "" {
			way = "tcp(" + p.Host + ":" + strconv.Itoa(p.Port) + ")"
		}
		return fmt.Sprintf("%s:%s@%s/%s?charset=utf8mb4&clientFoundRows=true&interpolateParams=true&parseTime=true",
			p.User, p.Password, way, p.Name)
	}
	return "file:" + (&url.URL{Path: p.File}).EscapedPath() + "?" + strings.Join([]string{
		"_journal_mode=wal", "_synchronous=full", "_busy_timeout=10000", "_foreign_keys=on", "_txlock=immediate",
		"_time_format=sqlite", "_error_rc=1",
	}, "&")
}

package stores

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/entsession/entsession/internal/dbtest"
)

// Servers are those of this run, each started when it is first needed.
type Servers struct {
	Dir    string        // for SQLite's files and Redis's socket
	Delay  time.Duration // of a delayed place, there and back
	dbs    map[string]*dbtest.Server
	redis  *redisServer
	delays map[string]*delayed
}

// NewServers makes the folder they use.
func NewServers(delay time.Duration) (*Servers, error) {
	dir, err := os.MkdirTemp("", "entsession-bench-")
	if err != nil {
		return nil, fmt.Errorf("starting servers: %w", err)
	}
	return &Servers{Dir: dir, Delay: delay, dbs: map[string]*dbtest.Server{}, delays: map[string]*delayed{}}, nil
}

// Stop ends them all and removes what they had.
func (s *Servers) Stop() error {
	var errs []error
	for _, d := range s.delays {
		d.process.Stop()
	}
	for _, db := range s.dbs {
		errs = append(errs, db.Stop())
	}
	if s.redis != nil {
		s.redis.process.Stop()
	}
	return errors.Join(append(errs, os.RemoveAll(s.Dir))...)
}

// settings of the servers. What is not named here has the server's default; dbtest sets smaller ones for its own use,
// which the first three lines of each take back.
var settings = map[string][][2]string{
	Postgres: {
		{"shared_buffers", "128MB"},   // default
		{"max_connections", "1200"},   // pgbench has a connection for each caller
		{"log_min_messages", "error"}, // nothing to write while it is measured
		{"log_checkpoints", "off"},    // likewise
		{"autovacuum", "on"},          // default
		{"synchronous_commit", "on"},  // default
		{"full_page_writes", "on"},    // default
	},
	MariaDB: {
		{"innodb-buffer-pool-size", "128M"},     // default
		{"innodb-log-file-size", "96M"},         // default
		{"innodb-flush-log-at-trx-commit", "1"}, // default: each commit is flushed to the disk
	},
}

// Settings tells which settings a server was given, as a text.
func Settings(kind string) string {
	switch kind {
	case SQLite:
		return "journal_mode=wal synchronous=full busy_timeout=10000 _txlock=immediate, and of entsession alone its default of wal_autocheckpoint=8000; " + strconv.Itoa(sqliteConns) + " connections"
	case Redis:
		return "save='' appendonly=no"
	}
	text := ""
	if kind == Postgres {
		text = "fsync=on "
	}
	for _, s := range settings[kind] {
		text += s[0] + "=" + s[1] + " "
	}
	return text[:len(text)-1]
}

func (s *Servers) server(kind string) (*dbtest.Server, error) {
	if db := s.dbs[kind]; db != nil {
		return db, nil
	}
	dialect := map[string]string{Postgres: dbtest.Postgres, MariaDB: dbtest.MySQL}[kind]
	opts := []dbtest.Option{dbtest.Durable()}
	for _, set := range settings[kind] {
		opts = append(opts, dbtest.Setting(set[0], set[1]))
	}
	db, err := dbtest.Start(dbtest.Kinds(dialect)[0], opts...) // the system's comes first
	if err != nil {
		return nil, err
	}
	s.dbs[kind] = db
	return db, nil
}

// Place makes an empty database, and says how to reach it: directly, by a Unix socket, or by TCP through a proxy that
// delays.
func (s *Servers) Place(ctx context.Context, kind string, slow bool) (Place, error) {
	p := Place{Kind: kind, Dir: s.Dir}
	switch kind {
	case SQLite:
		dir, err := os.MkdirTemp(s.Dir, "sqlite-")
		p.File = filepath.Join(dir, "sessions.db")
		return p, err
	case Redis:
		if err := s.startRedis(); err != nil {
			return p, err
		}
		p.Socket = s.redis.socket
		return p, s.way(&p, slow, "unix", p.Socket)
	}
	server, err := s.server(kind)
	if err != nil {
		return p, err
	}
	db, err := server.Create()
	if err != nil {
		return p, err
	}
	p.User, p.Password, p.Name, p.Socket, p.Port = db.User, db.Password, db.Name, db.Socket, db.Port
	if kind == Postgres {
		if err := cheapLogin(ctx, p); err != nil {
			return p, err
		}
	}
	return p, s.way(&p, slow, "tcp", server.Addr())
}

// way leads a place through the kind's proxy, if it is to be slow.
func (s *Servers) way(p *Place, slow bool, network, addr string) error {
	if !slow {
		return nil
	}
	d := s.delays[p.Kind]
	if d == nil {
		var err error
		if d, err = startDelay(network, addr, s.Delay/2); err != nil {
			return err
		}
		s.delays[p.Kind] = d
	}
	host, port, err := net.SplitHostPort(d.addr)
	if err != nil {
		return err
	}
	p.Host = host
	p.Port, err = strconv.Atoi(port)
	return err
}

// Drop removes what a contestant has left.
func (s *Servers) Drop(ctx context.Context, p Place) error {
	switch p.Kind {
	case SQLite:
		return os.RemoveAll(filepath.Dir(p.File))
	case Redis:
		return s.redis.flush(ctx)
	}
	name := p.Name
	p.Name = map[string]string{Postgres: "postgres", MariaDB: ""}[p.Kind]
	db, err := sql.Open(p.driver(), p.dsn())
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.ExecContext(ctx, "DROP DATABASE "+name)
	return err
}

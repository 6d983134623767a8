package stores

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
)

// Conns counts the connections that are open to a place, as its server sees them, or, for SQLite, as this process does.
func (s *Servers) Conns(ctx context.Context, p Place) (int, error) {
	if p.Kind == SQLite {
		return openFiles(p.File)
	}
	if p.Kind == Redis {
		c := s.redis.client()
		defer c.Close()
		list, err := c.ClientList(ctx).Result()
		return strings.Count(list, "\n") - 1, err // not the one that asks
	}
	other := p
	other.Name = map[string]string{Postgres: "postgres", MariaDB: "information_schema"}[p.Kind]
	db, err := sql.Open(p.driver(), other.dsn())
	if err != nil {
		return 0, err
	}
	defer db.Close()
	query := "SELECT count(*) FROM pg_stat_activity WHERE datname = $1"
	if p.Kind == MariaDB {
		query = "SELECT count(*) FROM information_schema.processlist WHERE db = ?"
	}
	var n int
	return n, db.QueryRowContext(ctx, query, p.Name).Scan(&n)
}

func openFiles(path string) (n int, err error) {
	fds, err := filepath.Glob("/proc/self/fd/*")
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err == nil && to == path {
			n++
		}
	}
	return n, err
}

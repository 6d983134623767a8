package stores

import (
	"context"
	"database/sql"
	"strings"
)

// Version of the server of a place.
func (s *Servers) Version(ctx context.Context, p Place) (string, error) {
	if p.Kind == Redis {
		c := s.redis.client()
		defer c.Close()
		info, err := c.Info(ctx, "server").Result()
		_, version, _ := strings.Cut(info, "redis_version:")
		version, _, _ = strings.Cut(version, "\r\n")
		return version, err
	}
	db, err := sql.Open(p.driver(), p.dsn())
	if err != nil {
		return "", err
	}
	defer db.Close()
	query := map[string]string{Postgres: "SHOW server_version", MariaDB: "SELECT version()", SQLite: "SELECT sqlite_version()"}[p.Kind]
	var version string
	return version, db.QueryRowContext(ctx, query).Scan(&version)
}

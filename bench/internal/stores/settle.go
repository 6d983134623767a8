package stores

import (
	"context"
	"database/sql"
)

// Settle has PostgreSQL clean up after the rows were made, so that autovacuum need not while the first store is measured.
func (s *Servers) Settle(ctx context.Context, p Place) error {
	if p.Kind != Postgres {
		return nil
	}
	db, err := sql.Open(p.driver(), p.dsn())
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.ExecContext(ctx, "VACUUM ANALYZE")
	return err
}

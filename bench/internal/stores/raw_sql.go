package stores

import (
	"context"
	"database/sql"
	"math/rand/v2"
)

var rawSQL = Contestant{
	Name:  "raw-sql",
	About: "our statements on database/sql and our driver with our settings, with nothing of ours around them; on SQLite prepared",
	Kinds: servers3,
	Open:  openRawSQL,
}

// rawDB runs the statements on database/sql.
type rawDB struct {
	*rawTable
	kind           string
	db             *sql.DB
	loaded, stored *sql.Stmt // SQLite's driver prepares a statement each time it is given as text
}

func openRawSQL(ctx context.Context, p Place, s Setup) (Store, error) {
	t, err := newRawTable(ctx, p, s)
	if err != nil {
		return nil, err
	}
	r := &rawDB{rawTable: t, kind: p.Kind}
	if r.db, err = openDB(p, s); err != nil || p.Kind != SQLite {
		return r, err
	}
	if r.loaded, err = r.db.PrepareContext(ctx, t.load); err != nil {
		return nil, err
	}
	r.stored, err = r.db.PrepareContext(ctx, t.save)
	return r, err
}

func (r *rawDB) Load(ctx context.Context, row int) ([]byte, error) {
	var rec record
	err := r.query(ctx, r.loaded, r.load, r.keys[row], "").Scan(rec.dest()...)
	return rec.data, err
}

func (r *rawDB) query(ctx context.Context, prepared *sql.Stmt, text string, args ...any) *sql.Row {
	if prepared != nil {
		return prepared.QueryRowContext(ctx, args...)
	}
	return r.db.QueryRowContext(ctx, text, args...)
}

func (r *rawDB) Save(ctx context.Context, row int, data []byte) error {
	next := rand.Int64()
	if r.kind == MariaDB {
		res, err := r.db.ExecContext(ctx, r.save, string(data), next, r.keys[row], "", r.versions[row])
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n != 1 {
			return wrong("raw-sql", "not saved", row)
		}
	} else {
		var timeout int64
		if err := r.query(ctx, r.stored, r.save, string(data), next, r.keys[row], "", r.versions[row]).Scan(&timeout); err != nil {
			return err
		}
	}
	r.versions[row] = next
	return nil
}

func (r *rawDB) Close() error { return r.db.Close() }

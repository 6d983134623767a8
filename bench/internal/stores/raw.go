package stores

import (
	"context"
	"database/sql"
	"math/rand/v2"

	"github.com/jackc/pgx/v5/pgxpool"
)

var rawPgx = Contestant{
	Name:  "raw-pgxpool",
	About: "our statements on pgxpool, with nothing of ours around them",
	Kinds: []string{Postgres},
	Open: func(ctx context.Context, p Place, s Setup) (Store, error) {
		t, err := newRawTable(ctx, p, s)
		if err != nil {
			return nil, err
		}
		pool, err := openPgxpool(ctx, p, s)
		return &rawPool{t, pool}, err
	},
}

// rawTable is our table and what the raw statements need to know of its rows.
type rawTable struct {
	load, save string
	keys       []string
	versions   []int64 // a row's is the business of the one caller that saves it
}

func newRawTable(ctx context.Context, p Place, s Setup) (*rawTable, error) {
	cfg := p.config(s.Conns)
	sessions, err := seed(ctx, cfg, s)
	if err != nil {
		return nil, err
	}
	set, err := statements(p.Kind)
	if err != nil {
		return nil, err
	}
	t := &rawTable{load: set.Load, save: set.Save(nil), keys: make([]string, s.Rows), versions: make([]int64, s.Rows)}
	rows := make(map[string]int, s.Rows)
	for i, sess := range sessions {
		t.keys[i] = sess.Key()
		rows[t.keys[i]] = i
	}
	db, err := openDB(p, s)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	return t, t.readVersions(ctx, db, rows)
}

func (t *rawTable) readVersions(ctx context.Context, db *sql.DB, row map[string]int) error {
	rows, err := db.QueryContext(ctx, "SELECT id, version FROM sessions")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var key string
		var version int64
		if err := rows.Scan(&key, &version); err != nil {
			return err
		}
		t.versions[row[trimBlanks(key)]] = version
	}
	return rows.Err()
}

// trimBlanks takes off what PostgreSQL pads the id's char(72) with.
func trimBlanks(key string) string {
	for len(key) > 0 && key[len(key)-1] == ' ' {
		key = key[:len(key)-1]
	}
	return key
}

// record is the row that Load reads.
type record struct {
	data                      []byte
	timeout, version, created int64
	subject                   sql.NullString
}

func (r *record) dest() []any { return []any{&r.data, &r.timeout, &r.version, &r.created, &r.subject} }

// rawPool runs them on pgxpool.
type rawPool struct {
	*rawTable
	pool *pgxpool.Pool
}

func (r *rawPool) Load(ctx context.Context, row int) ([]byte, error) {
	var rec record
	err := r.pool.QueryRow(ctx, r.load, r.keys[row], "").Scan(rec.dest()...)
	return rec.data, err
}

func (r *rawPool) Save(ctx context.Context, row int, data []byte) error {
	next := rand.Int64()
	var timeout int64
	if err := r.pool.QueryRow(ctx, r.save, string(data), next, r.keys[row], "", r.versions[row]).Scan(&timeout); err != nil {
		return err
	}
	r.versions[row] = next
	return nil
}

func (r *rawPool) Close() error { r.pool.Close(); return nil }

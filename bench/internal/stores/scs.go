package stores

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"time"

	"github.com/alexedwards/scs/mysqlstore"
	"github.com/alexedwards/scs/pgxstore"
	"github.com/alexedwards/scs/sqlite3store"
	"github.com/jackc/pgx/v5/pgxpool"
)

var scs = Contestant{
	Name:  "scs",
	About: "scs's pgxstore (on pgxpool), mysqlstore or sqlite3store: Find and Commit; no guard, no renewal",
	Kinds: servers3,
	Open:  openSCS,
}

// scsStore is what all of scs's stores have. None but the one on Redis takes a context.
type scsStore interface {
	Find(token string) ([]byte, bool, error)
	Commit(token string, data []byte, expiry time.Time) error
}

// scsRows is a store of scs with its rows. The expiry is that of a session with a fixed lifetime, scs's default: the cheaper
// kind, for a column that does not change needs no new index entry.
type scsRows struct {
	scsStore
	tokens []string
	expiry time.Time
	close  func() error
}

func openSCS(ctx context.Context, p Place, s Setup) (Store, error) {
	if p.Kind == Postgres {
		pool, err := openPgxpool(ctx, p, s)
		if err != nil {
			return nil, err
		}
		if _, err := pool.Exec(ctx, scsTables[p.Kind][0]); err != nil {
			pool.Close()
			return nil, err
		}
		if _, err := pool.Exec(ctx, scsTables[p.Kind][1]); err != nil {
			pool.Close()
			return nil, err
		}
		defer pool.Reset() // as many connections as the callers need, and not as the rows did
		return fillSCS(pgxstore.NewWithCleanupInterval(pool, 0), s, func() error { pool.Close(); return nil })
	}
	db, err := openDB(p, s)
	if err != nil {
		return nil, err
	}
	for _, stmt := range scsTables[p.Kind] {
		if _, err := db.ExecContext(ctx, stmt); err != nil {
			_ = db.Close()
			return nil, err
		}
	}
	if p.Kind == MariaDB {
		defer func() {
			db.SetMaxIdleConns(0) // as above
			db.SetMaxIdleConns(s.Conns)
		}()
		return fillSCS(mysqlstore.NewWithCleanupInterval(db, 0), s, db.Close)
	}
	return fillSQLite(ctx, p, s, db)
}

// fillSQLite makes the rows on a connection that does not wait for the disk.
func fillSQLite(ctx context.Context, p Place, s Setup, db *sql.DB) (Store, error) {
	quick, err := openDB(p, s)
	if err != nil {
		return nil, err
	}
	quick.SetMaxOpenConns(1)
	if _, err := quick.ExecContext(ctx, "PRAGMA synchronous=off"); err != nil {
		return nil, err
	}
	rows, err := fillSCS(sqlite3store.NewWithCleanupInterval(quick, 0), s, db.Close)
	if err != nil {
		return nil, err
	}
	rows.scsStore = sqlite3store.NewWithCleanupInterval(db, 0)
	return rows, quick.Close()
}

func fillSCS(store scsStore, s Setup, closer func() error) (*scsRows, error) {
	r := &scsRows{scsStore: store, tokens: newTokens(s.Rows), expiry: time.Now().Add(24 * time.Hour), close: closer}
	return r, each(s.Rows, func(row int) error { return store.Commit(r.tokens[row], s.Payload, r.expiry) })
}

func (r *scsRows) Load(_ context.Context, row int) ([]byte, error) {
	data, found, err := r.Find(r.tokens[row])
	if err == nil && !found {
		err = wrong("scs", "not found", row)
	}
	return data, err
}

func (r *scsRows) Save(_ context.Context, row int, data []byte) error {
	return r.Commit(r.tokens[row], data, r.expiry)
}

func (r *scsRows) Close() error { return r.close() }

// newTokens are like those of scs: 32 random bytes.
func newTokens(n int) []string {
	out := make([]string, n)
	b := make([]byte, 32)
	for i := range out {
		_, _ = rand.Read(b) // never fails
		out[i] = base64.RawURLEncoding.EncodeToString(b)
	}
	return out
}

// openPgxpool opens a pool with pgx's defaults but its size.
func openPgxpool(ctx context.Context, p Place, s Setup) (*pgxpool.Pool, error) {
	cfg, err := pgxpool.ParseConfig(p.dsn())
	if err != nil {
		return nil, err
	}
	cfg.MaxConns = int32(s.Conns)
	return pgxpool.NewWithConfig(ctx, cfg)
}

// openDB opens a pool of database/sql as big as our store's, all of it kept.
func openDB(p Place, s Setup) (*sql.DB, error) {
	db, err := sql.Open(p.driver(), p.dsn())
	if err != nil {
		return nil, err
	}
	conns := s.Conns
	if p.Kind == SQLite {
		conns = sqliteConns
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db, nil
}

// sqliteConns is what our store has by default on SQLite. Without a limit, each caller would have a connection, and they
// would poll for the file's lock.
const sqliteConns = 4

// scsTables are word for word those of the READMEs.
var scsTables = map[string][2]string{
	Postgres: {`CREATE TABLE sessions (
	token TEXT PRIMARY KEY,
	data BYTEA NOT NULL,
	expiry TIMESTAMPTZ NOT NULL
)`, `CREATE INDEX sessions_expiry_idx ON sessions (expiry)`},
	MariaDB: {`CREATE TABLE sessions (
	token CHAR(43) PRIMARY KEY,
	data BLOB NOT NULL,
	expiry TIMESTAMP(6) NOT NULL
)`, `CREATE INDEX sessions_expiry_idx ON sessions (expiry)`},
	SQLite: {`CREATE TABLE sessions (
	token TEXT PRIMARY KEY,
	data BLOB NOT NULL,
	expiry REAL NOT NULL
)`, `CREATE INDEX sessions_expiry_idx ON sessions(expiry)`},
}

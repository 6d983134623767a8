package torture

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/internal/dbtest"
)

// serverTarget is one PostgreSQL or MariaDB that flushes every commit to the disk. Half of its clients reach it through proxies.
type serverTarget struct {
	kind    dbtest.Kind
	server  *dbtest.Server
	db      *dbtest.DB
	proxies []*Proxy
	admin   *sql.DB
}

// maxConnections of the server: few, so that they can be used up.
const maxConnections = 150

// NewServer starts a server of its own.
func NewServer(kind dbtest.Kind, options ...dbtest.Option) (Target, error) {
	t := &serverTarget{kind: kind}
	var err error
	if t.server, err = dbtest.Start(kind, append(serverOptions(kind), options...)...); err != nil {
		return nil, err
	}
	if err := t.prepare(); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

func serverOptions(kind dbtest.Kind) []dbtest.Option {
	setting := "max_connections"
	if kind.Dialect == dbtest.MySQL {
		setting = "max-connections"
	}
	return []dbtest.Option{dbtest.Durable(), dbtest.Setting(setting, strconv.Itoa(maxConnections))}
}

func (t *serverTarget) prepare() (err error) {
	if t.db, err = t.server.Create(); err != nil {
		return err
	}
	for range 3 {
		p, err := NewProxy(t.server.Addr())
		if err != nil {
			return err
		}
		t.proxies = append(t.proxies, p)
	}
	t.admin, err = openAdmin(t.db)
	return err
}

func openAdmin(db *dbtest.DB) (*sql.DB, error) {
	if db.Kind.Dialect == dbtest.MySQL {
		quiet() // what its driver logs is returned as an error too
	}
	driver := map[string]string{dbtest.Postgres: "pgx", dbtest.MySQL: "mysql", dbtest.SQLite: "sqlite"}[db.Kind.Dialect]
	admin, err := sql.Open(driver, db.DSN())
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", db.Kind.Name, err)
	}
	admin.SetMaxIdleConns(0) // nothing of it is left when it has looked
	return admin, nil
}

var quiet = sync.OnceFunc(func() { _ = mysql.SetLogger(&mysql.NopLogger{}) })

func (t *serverTarget) Name() string   { return t.kind.Name }
func (t *serverTarget) Admin() *sql.DB { return t.admin }

func (t *serverTarget) Config(n int) entsession.Config {
	cfg := serverConfig(t.db)
	if n%2 == 0 {
		p := t.proxies[n/2%len(t.proxies)]
		cfg.Hostname, cfg.Port = p.Host(), p.Port()
	}
	return cfg
}

func serverConfig(db *dbtest.DB) entsession.Config {
	cfg := entsession.Config{
		Driver: "postgres", Database: db.Name, Username: db.User, Password: db.Password, Hostname: db.Host, Port: db.Port,
		Params: map[string]string{"sslmode": "disable"},
	}
	if db.Kind.Dialect == dbtest.MySQL {
		cfg.Driver, cfg.Params = "mysql", nil
	}
	return cfg
}

func (t *serverTarget) Close() error {
	var errs []error
	if t.admin != nil {
		errs = append(errs, t.admin.Close())
	}
	for _, p := range t.proxies {
		errs = append(errs, p.Close())
	}
	return errors.Join(append(errs, t.server.Stop())...)
}

func (t *serverTarget) Faults() []Fault {
	return append([]Fault{
		{Name: "kill server", Weight: 3, Undoes: t.kind.Dialect == dbtest.MySQL, Inject: t.kill},
		{Name: "restart server", Weight: 2, Inject: func(context.Context, *rand.Rand) error { return t.server.Restart() }},
		{Name: "pause server", Weight: 2, Inject: t.pause},
		{Name: "terminate connections", Weight: 4, Inject: t.terminate},
		{Name: "lock rows", Weight: 2, Inject: t.lockRows},
		{Name: "use up connections", Weight: 1, Inject: t.useUp},
	}, NetworkFaults(t.proxies...)...)
}

func (t *serverTarget) kill(ctx context.Context, rng *rand.Rand) error {
	if err := t.server.Kill(); err != nil {
		return err
	}
	sleep(ctx, between(rng, 0, 1500*time.Millisecond))
	return t.server.Restart()
}

// pause lasts longer than the stores' patience.
func (t *serverTarget) pause(ctx context.Context, rng *rand.Rand) error {
	if err := t.server.Pause(); err != nil {
		return err
	}
	sleep(ctx, between(rng, StatementTimeout, StatementTimeout+3*time.Second))
	return t.server.Resume()
}

// terminate ends connections, a few at a time, as an administrator does who is in a hurry.
func (t *serverTarget) terminate(ctx context.Context, rng *rand.Rand) error {
	conn, err := t.admin.Conn(ctx)
	if err != nil {
		return fmt.Errorf("connecting as the owner: %w", err)
	}
	defer conn.Close()
	for range 1 + rng.IntN(15) {
		ids, err := t.connections(ctx, conn)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if rng.IntN(3) > 0 {
				continue
			}
			end := fmt.Sprintf("SELECT pg_terminate_backend(%d)", id)
			if t.kind.Dialect == dbtest.MySQL {
				end = fmt.Sprintf("KILL CONNECTION %d", id)
			}
			_, _ = conn.ExecContext(ctx, end) // it may have gone by itself
		}
		if !sleep(ctx, between(rng, time.Millisecond, 100*time.Millisecond)) {
			break
		}
	}
	return nil
}

// connections are the ids of the owner's, but for this one.
func (t *serverTarget) connections(ctx context.Context, conn *sql.Conn) (ids []int64, err error) {
	query := "SELECT pid FROM pg_stat_activity WHERE usename = current_user AND pid <> pg_backend_pid() ORDER BY pid"
	if t.kind.Dialect == dbtest.MySQL {
		query = "SELECT id FROM information_schema.processlist WHERE user = SUBSTRING_INDEX(CURRENT_USER(), '@', 1) AND id <> CONNECTION_ID() ORDER BY id"
	}
	rows, err := conn.QueryContext(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("listing connections: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("listing connections: %w", err)
		}
		ids = append(ids, id)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("listing connections: %w", err)
	}
	return ids, nil
}

// Connections counts the clients' connections at the server.
func (t *serverTarget) Connections(ctx context.Context) (int, error) {
	conn, err := t.admin.Conn(ctx)
	if err != nil {
		return 0, fmt.Errorf("connecting as the owner: %w", err)
	}
	defer conn.Close()
	ids, err := t.connections(ctx, conn)
	return len(ids), err
}

// lockRows keeps others from changing the sessions, as a long transaction of the application's does.
func (t *serverTarget) lockRows(ctx context.Context, rng *rand.Rand) error {
	tx, err := t.admin.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("locking rows: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // it changed nothing
	// By key, as the stores lock them; a deadlock is the other's to solve, or ends this fault early.
	rows, err := tx.QueryContext(ctx, fmt.Sprintf("SELECT id FROM sessions WHERE timeout > 1 ORDER BY id LIMIT %d FOR UPDATE", 1+rng.IntN(300)))
	if err != nil {
		return nil
	}
	for rows.Next() {
	}
	_ = rows.Close()
	sleep(ctx, between(rng, 200*time.Millisecond, StatementTimeout+2*time.Second))
	return nil
}

// useUp takes connections until the server has no more, so that no client gets a new one.
func (t *serverTarget) useUp(ctx context.Context, rng *rand.Rand) error {
	var conns []*sql.Conn
	defer func() {
		for _, c := range conns {
			_ = c.Close()
		}
	}()
	for range maxConnections {
		c, err := t.admin.Conn(ctx)
		if err != nil {
			break // that was the last
		}
		conns = append(conns, c)
	}
	if _, err := t.terminated(ctx, rng, conns); err != nil {
		return err
	}
	sleep(ctx, between(rng, 200*time.Millisecond, 3*time.Second))
	return nil
}

// terminated ends some of the clients' connections, for they will want new ones. It has to be done on a connection that is there.
func (t *serverTarget) terminated(ctx context.Context, rng *rand.Rand, own []*sql.Conn) (int, error) {
	if len(own) == 0 {
		return 0, nil
	}
	ids, err := t.connections(ctx, own[0])
	if err != nil {
		return 0, err
	}
	n := 0
	for _, id := range ids {
		if rng.IntN(2) == 0 {
			continue
		}
		end := fmt.Sprintf("SELECT pg_terminate_backend(%d)", id)
		if t.kind.Dialect == dbtest.MySQL {
			end = fmt.Sprintf("KILL CONNECTION %d", id)
		}
		if _, err := own[0].ExecContext(ctx, end); err == nil {
			n++
		}
	}
	return n, nil
}

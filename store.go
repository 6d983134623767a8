package entsession

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"

	"github.com/entsession/entsession/ent"
	"github.com/entsession/entsession/ent/session"
	"github.com/entsession/entsession/internal/backend"
	"github.com/entsession/entsession/internal/fault"
	"github.com/entsession/entsession/internal/rename"
	"github.com/entsession/entsession/internal/stmt"
	"github.com/entsession/entsession/internal/wire"

	_ "github.com/entsession/entsession/postgres" // the default driver
)

// Store keeps sessions in one table. It is safe for concurrent use. Its pool is its own: no call ever takes part in a
// transaction of the application's.
type Store struct {
	cfg       Config // defaults applied
	drv       dialect.Driver
	db        wire.Querier // on drv: what the calls use
	pool      *sql.DB      // nil when the driver is the application's
	client    *ent.Client
	table     *stmt.Table // the name; what is known of the columns is in set
	set       atomic.Pointer[stmt.Set]
	looking   chan struct{} // held to describe the table
	forgotten atomic.Uint64 // counts the sets that turned out to be outdated

	lanes     atomic.Pointer[lanes] // of set, see batch.go
	lanesMu   sync.Mutex            // held to replace them
	retired   []LaneStats           // of lanes that were replaced
	together  bool                  // every call through a batch, for tests
	pipelined int                   // maxPipelined, or as tests want it
	hot       hot
	unknown   lacking
	batches   sync.WaitGroup  // under way
	batchLife context.Context // of theirs
	batchEnd  context.CancelFunc
	retries   atomic.Uint64
	budget    budget // of retries
	health    health
	gate      interface{ Away() error } // nil when the pool is the application's
	observer  *Observer                 // nil: nobody asked
	notices   notices

	events *events       // nil: no hooks
	writer chan struct{} // SQLite takes one writer at a time: better to queue here than to poll the file's lock
	purger purger

	closed  atomic.Bool
	end     func() error // Close, once
	closing context.CancelFunc
	life    context.Context // ends with Close
	tasks   sync.WaitGroup  // goroutines of the store's own
	calls   sync.RWMutex    // read-locked by whoever uses the database, locked by Close
}

// Open opens a pool of connections and a store on it, and checks that the database answers. The table need not exist
// yet (see Migrate). Close the store to close the pool.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if ctx == nil {
		return nil, errNilContext
	}
	cfg, drv, connector, err := open(cfg)
	if err != nil {
		return nil, err
	}
	pool := drv.DB()
	s := newStore(drv, cfg)
	s.pool = pool
	s.gate, _ = connector.(interface{ Away() error })
	for n := 1; ; n++ {
		err := pool.PingContext(ctx)
		if err == nil {
			return s, nil
		}
		// Several processes that make one SQLite file at once: its switch to WAL doesn't wait for the others.
		if fault.Of(err) == fault.Contention && n < maxAttempts && s.pause(ctx, n) {
			continue
		}
		return nil, errors.Join(s.fail("open", err, nil), s.Close())
	}
}

// OpenDriver opens a pool of connections as Open does, for an ent client of the application's own: ent.NewClient(ent.Driver(drv)). What it takes of
// the configuration is what concerns connections. It is no store's, and the application's to close. The database need not answer yet.
func OpenDriver(cfg Config) (*entsql.Driver, error) {
	_, drv, _, err := open(cfg)
	return drv, err
}

// open makes a pool, which connects to nothing yet.
func open(cfg Config) (Config, *entsql.Driver, driver.Connector, error) {
	cfg, err := cfg.WithDefaults()
	if err == nil && cfg.Database == "" {
		err = wrong("Database", "is required: the name of the database, or SQLite's file")
	}
	if err != nil {
		return cfg, nil, nil, invalid(err)
	}
	b, err := backend.Lookup(cfg.Driver)
	if err != nil {
		return cfg, nil, nil, fmt.Errorf("entsession: open: %w", err)
	}
	connector, err := b.Connector(cfg.settings())
	if err != nil {
		return cfg, nil, nil, fmt.Errorf("entsession: open: %w", err)
	}
	pool := sql.OpenDB(connector)
	pool.SetMaxOpenConns(cfg.MaxOpenConns)
	pool.SetMaxIdleConns(cfg.MaxIdleConns)
	pool.SetConnMaxLifetime(cfg.ConnMaxLifetime)
	pool.SetConnMaxIdleTime(cfg.ConnMaxIdleTime)
	return cfg, entsql.OpenDB(b.Dialect, pool), connector, nil
}

// New makes a store on an ent driver that the application opened for it. Of the configuration, what concerns
// connections is left to that driver: Database, Hostname and their kind, the pool, OnConnect and
// ConnectionCheckThreshold. Close does not close the driver.
//
// A MySQL driver should have clientFoundRows=true and interpolateParams=true, an SQLite one a busy timeout and
// _txlock=immediate, as the ones that Open makes.
func New(ctx context.Context, drv dialect.Driver, cfg Config) (*Store, error) {
	if ctx == nil {
		return nil, errNilContext
	}
	if drv == nil {
		return nil, errors.New("entsession: new: the driver is nil")
	}
	name, ok := dialects[drv.Dialect()]
	if !ok {
		return nil, fmt.Errorf("entsession: new: dialect %q is not supported: use postgres, mysql or sqlite3", drv.Dialect())
	}
	if cfg.Driver != "" {
		if given, err := driverName(cfg.Driver); err != nil || given != name {
			return nil, fmt.Errorf("entsession: new: Driver: %q does not fit the driver given, which is %s", cfg.Driver, name)
		}
	}
	if name == "mysql" { // without the package, MySQL's error numbers mean nothing to us, and a retry is never right
		if _, err := backend.Lookup(name); err != nil {
			return nil, fmt.Errorf("entsession: new: %w", err)
		}
	}
	cfg.Driver = name
	cfg, err := cfg.WithDefaults()
	if err != nil {
		return nil, invalid(err)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("entsession: new: %w", err)
	}
	return newStore(drv, cfg), nil
}

func newStore(drv dialect.Driver, cfg Config) *Store {
	schema, name, _ := stmt.ParseName(cfg.Table) // checked by WithDefaults
	table := &stmt.Table{Dialect: drv.Dialect(), Schema: schema, Name: name, PlainIDs: cfg.PlainIDs}
	if table.Dialect == dialect.SQLite {
		table.Schema = ""
	}
	s := &Store{cfg: cfg, drv: drv, pipelined: maxPipelined, looking: make(chan struct{}, 1), db: wire.Of(drv, cfg.StatementTimeout), table: table}
	s.client = ent.NewClient(ent.Driver(rename.Driver(drv, session.Table, table.Schema, table.Name)))
	s.life, s.closing = context.WithCancel(context.Background())
	s.batchLife, s.batchEnd = context.WithCancel(context.Background())
	if table.Dialect == dialect.SQLite {
		s.writer = make(chan struct{}, 1)
	}
	s.events = newEvents(cfg.Hooks, s.log)
	s.end = sync.OnceValue(s.close)
	if cfg.Observer != nil {
		s.observer = cfg.Observer(s)
	}
	return s
}

// Client returns the generated ent client on the store's pool and table, for what the store has no method for. What it writes
// goes past every guard of the store, and it knows this module's columns only. Don't close it: close the store.
func (s *Store) Client() *ent.Client { return s.client }

// Close ends the store's background work, waits for the statements under way and closes the pool. Calls that would need another
// statement, and all later ones, return ErrClosed. Closing twice is fine: each returns when all is done. A function given to Update
// must not call it.
func (s *Store) Close() error { return s.end() }

func (s *Store) close() error {
	s.purger.mu.Lock() // a draw that comes first has counted its task, one that comes later sees that the store is closed
	s.closed.Store(true)
	s.purger.mu.Unlock()
	s.closing()
	s.tasks.Wait()
	s.closeLanes()
	// Statements end within their context or the statement timeout. A driver that is asked to close under them may leave a
	// goroutine behind.
	s.calls.Lock()
	defer s.calls.Unlock()
	// No caller is left: nobody waits for the answers of the batches that go on.
	s.batchEnd()
	s.batches.Wait()
	s.events.close() // nothing more will happen
	if s.observer != nil && s.observer.Closed != nil {
		s.observer.Closed()
	}
	if s.pool == nil {
		return nil
	}
	if err := s.pool.Close(); err != nil {
		return fmt.Errorf("entsession: close: %w", err)
	}
	return nil
}

// wrong is a problem with a field of the configuration.
func wrong(field, format string, args ...any) error {
	return fmt.Errorf("%s: %w", field, fmt.Errorf(format, args...))
}

// invalid puts every problem of a configuration on a line of its own.
func invalid(err error) error {
	text := strings.ReplaceAll(err.Error(), "\n", "\n\t")
	return fmt.Errorf("entsession: configuration: %s", text)
}

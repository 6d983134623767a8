// Package sessiontest is for the tests of applications that keep sessions: a store on a database of its own in one call, a clock to move, sign-ins,
// and suites that check a store or an adapter of someone else's.
//
//	func TestBasket(t *testing.T) {
//		t.Parallel()
//		store := sessiontest.New(t)
//		r := httptest.NewRequest("GET", "/basket", nil)
//		r.AddCookie(sessiontest.SignIn(t, store, "ann"))
//		…
//		sessiontest.Advance(t, store, time.Hour) // the session has expired
//	}
//
// It needs SQLite's driver, which the module has anyway, and no test library. See docs/testing.md.
package sessiontest

import (
	"context"
	"database/sql"
	"testing"

	entsql "entgo.io/ent/dialect/sql"

	"entgo.io/ent/dialect"

	"github.com/entsession/entsession"
	_ "github.com/entsession/entsession/sqlite" // knows SQLite's errors
)

// Options of New.
type Options struct {
	// Config of the store. What concerns connections is New's own. Purging is left to Purge unless DisableAutopurge is unset.
	entsession.Config

	// Schema creates the tables instead of Store.Migrate: those of the application's ent schema, say, with
	// ent.NewClient(ent.Driver(drv)).Schema.Create(ctx). It is called for every store.
	Schema func(ctx context.Context, drv dialect.Driver) error
}

// New gives a store on an empty SQLite database in memory, with the table migrated and a clock that Advance moves. The database belongs to this store alone, so that
// tests may run in parallel. Both end with the test. The database has a single connection: don't call the store while a transaction of its Client is open.
//
// The same works within testing/synctest: the database's clock is then that of the bubble, and a session expires while the test sleeps.
func New(t testing.TB, change ...func(*Options)) *entsession.Store {
	t.Helper()
	options := Options{Config: entsession.Config{DisableAutopurge: true}}
	for _, f := range change {
		f(&options)
	}
	own := options.Schema != nil || options.Table != "" && options.Table != "sessions"
	db, clock, err := open(own)
	if err != nil {
		t.Fatalf("sessiontest: opening a database in memory: %v", err)
	}
	ctx := context.Background()
	drv := entsql.OpenDB(dialect.SQLite, db)
	store, err := entsession.New(ctx, drv, options.Config)
	if err != nil {
		_ = db.Close()
		t.Fatalf("sessiontest: %v", err)
	}
	clocks.Store(store, clock)
	t.Cleanup(func() {
		clocks.Delete(store)
		if err := store.Close(); err != nil {
			t.Errorf("sessiontest: closing the store: %v", err)
		}
		if err := db.Close(); err != nil {
			t.Errorf("sessiontest: closing the database: %v", err)
		}
		clock.release()
	})
	switch {
	case options.Schema != nil:
		err = options.Schema(ctx, drv)
	case own:
		err = store.Migrate(ctx)
	}
	if err != nil {
		t.Fatalf("sessiontest: creating the tables: %v", err)
	}
	return store
}

// open gives a pool on a database of its own: an empty one, or one with the table.
func open(empty bool) (*sql.DB, *clock, error) {
	clock, err := newClock()
	if err != nil {
		return nil, nil, err
	}
	c := &connector{driver: clock.driver, dsn: memory()}
	if c.keeper, err = c.driver.Open(c.dsn); err == nil && !empty {
		err = c.fill()
	}
	if err != nil {
		_ = c.Close()
		clock.release()
		return nil, nil, err
	}
	db := sql.OpenDB(c)
	db.SetMaxOpenConns(1) // SQLite's locks are polled for; in memory, waiting for the connection is several times faster
	return db, clock, nil
}

package sessiontest

import (
	"database/sql/driver"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"modernc.org/sqlite"

	"github.com/entsession/entsession"
)

// clock is what a database takes for the time. Every statement of the store's, and every default of the table's, asks SQLite's unixepoch; the connections have
// one of ours in its place.
type clock struct {
	driver *sqlite.Driver
	ahead  atomic.Int64 // nanoseconds
}

// clocks of the stores that New made: *entsession.Store -> *clock.
var clocks sync.Map

// spare clocks. The driver never forgets a function, so that one for each test would add up.
var spare struct {
	mu     sync.Mutex
	clocks []*clock
}

func newClock() (*clock, error) {
	spare.mu.Lock()
	if n := len(spare.clocks); n > 0 {
		c := spare.clocks[n-1]
		spare.clocks = spare.clocks[:n-1]
		spare.mu.Unlock()
		return c, nil
	}
	spare.mu.Unlock()
	c := &clock{driver: &sqlite.Driver{}}
	err := c.driver.RegisterScalarFunction("unixepoch", 0, func(*sqlite.FunctionContext, []driver.Value) (driver.Value, error) {
		return c.now().Unix(), nil
	})
	return c, err
}

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

func (c *clock) release() {
	c.ahead.Store(0)
	spare.mu.Lock()
	defer spare.mu.Unlock()
	spare.clocks = append(spare.clocks, c)
}

// Advance moves the clock of a store that New made, in whole seconds: whatever expires in that time has expired when it returns. It moves the database's clock, which decides; time.Now
// stays as it is, and with it what a cookie or a session manager takes for the time. A negative time moves it back.
//
// A session is live until the last second of its lifetime is over: to see one expire, advance by a second more.
func Advance(t testing.TB, store *entsession.Store, by time.Duration) {
	t.Helper()
	of(t, store).ahead.Add(int64(by))
}

// Now is the time by the clock of a store that New made.
func Now(t testing.TB, store *entsession.Store) time.Time {
	t.Helper()
	return of(t, store).now()
}

func of(t testing.TB, store *entsession.Store) *clock {
	t.Helper()
	c, ok := clocks.Load(store)
	if !ok {
		t.Fatalf("sessiontest: this store's clock can't be moved: sessiontest.New made no such store, or its test is over. Expire works with any store")
		return nil
	}
	return c.(*clock)
}

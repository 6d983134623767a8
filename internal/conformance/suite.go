// Package conformance holds what every database must pass: the store's promises, one file a promise or a group of
// them. Start with Run.
package conformance

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/internal/dbtest"
	_ "github.com/entsession/entsession/mysql"  // the suite runs on all of them
	_ "github.com/entsession/entsession/sqlite" // the suite runs on all of them
)

// Mode is how the stores of a run work.
type Mode struct {
	Name string
	// Change changes each configuration, and Opened each store, before they are used. Both may be nil.
	Change func(*entsession.Config)
	Opened func(*entsession.Store)
	// Crowded leaves out the tests in which no call ever waits for another.
	Crowded bool
}

// Run runs the suite on one kind of database.
func Run(t *testing.T, kind dbtest.Kind, mode Mode) {
	servers, postgres, mysql := []string{dbtest.Postgres, dbtest.MySQL}, []string{dbtest.Postgres}, []string{dbtest.MySQL}
	tests := []struct {
		name string
		f    func(*testing.T, *env)
		on   []string // the dialects that it can happen on; all if there are none
	}{
		{name: "RoundTrip", f: testRoundTrip},
		{name: "Payloads", f: testPayloads},
		{name: "PayloadTooLarge", f: testPayloadTooLarge},
		{name: "MalformedIDs", f: testMalformedIDs},
		{name: "StoredIDs", f: testStoredIDs},
		{name: "IDsDifferInCase", f: testIDsDifferInCase},
		{name: "NoIDInErrors", f: testNoIDInErrors},
		{name: "Misuse", f: testMisuse},
		{name: "Closed", f: testClosed},
		{name: "CloseDuringCalls", f: testCloseDuringCalls},
		{name: "CancelledContext", f: testCancelledContext},
		{name: "MissingTable", f: testMissingTable},
		{name: "WrongPassword", f: testWrongPassword},
		{name: "ExpiryIsFinal", f: testExpiryIsFinal},
		{name: "ExpiresUnderWay", f: testExpiresUnderWay, on: servers},
		{name: "ExpiresInBatch", f: testExpiresInBatch, on: mysql},
		{name: "Sliding", f: testSliding},
		{name: "TouchInterval", f: testTouchInterval},
		{name: "MaxLifetime", f: testMaxLifetime},
		{name: "Beyond2038", f: testBeyond2038},
		{name: "OneClock", f: testOneClock},
		{name: "WrongClocks", f: testWrongClocks, on: servers},
		{name: "RevocationIsFinal", f: testRevocationIsFinal},
		{name: "RevocationRaces", f: testRevocationRaces},
		{name: "RevokeMeetsRotate", f: testRevokeMeetsRotate},
		{name: "Finality", f: testFinality},
		{name: "FinalityLocked", f: testFinalityLocked},
		{name: "RevokeWhileOthersSignIn", f: testRevokeWhileOthersSignIn},
		{name: "CloseTwice", f: testCloseTwice},
		{name: "PurgeLock", f: testPurgeLock, on: servers},
		{name: "PurgeSilence", f: testPurgeSilence, on: servers},
		{name: "Rotate", f: testRotate},
		{name: "Conflict", f: testConflict},
		{name: "CounterIsExact", f: testCounterIsExact},
		{name: "UpdateError", f: testUpdateError},
		{name: "SharedSession", f: testSharedSession},
		{name: "ExtraColumns", f: testExtraColumns},
		{name: "ColumnErrors", f: testColumnErrors},
		{name: "ColumnAddedLater", f: testColumnAddedLater},
		{name: "ColumnDropped", f: testColumnDropped},
		{name: "AlteredAtWork", f: testAlteredAtWork},
		{name: "Rolling", f: testRolling},
		{name: "Applications", f: testApplications},
		{name: "List", f: testList},
		{name: "ListByPredicate", f: testListByPredicate},
		{name: "Revoke", f: testRevoke},
		{name: "Typed", f: testTyped},
		{name: "BareTable", f: testBareTable},
		{name: "BareCounterIsExact", f: testBareCounterIsExact},
		{name: "OtherTable", f: testOtherTable},
		{name: "Client", f: testClient},
		{name: "New", f: testNew},
		{name: "PurgeDeletesTheExpired", f: testPurgeDeletesTheExpired},
		{name: "PurgeGrace", f: testPurgeGrace},
		{name: "PurgeSparesTheTouched", f: testPurgeSparesTheTouched},
		{name: "RenewalsMeetThePurge", f: testRenewalsMeetThePurge},
		{name: "AutopurgeDraws", f: testAutopurgeDraws},
		{name: "PurgersTakeTurns", f: testPurgersTakeTurns},
		{name: "MigrateTogether", f: testMigrateTogether},
		{name: "Usage", f: testUsage},
		{name: "Grants", f: testGrants, on: servers},
		{name: "PoolOfOne", f: testPoolOfOne},
		{name: "PoolExhausted", f: testPoolExhausted},
		{name: "SlowUpdate", f: testSlowUpdate},
		{name: "SurvivesKilledConnections", f: testSurvivesKilledConnections, on: servers},
		{name: "Durable", f: testDurable, on: servers},
		{name: "LostAnswers", f: testLostAnswers, on: servers},
		{name: "Silence", f: testSilence, on: servers},
		{name: "CommitUnderWay", f: testCommitUnderWay, on: postgres},
		{name: "RoomForUpdates", f: testRoomForUpdates, on: postgres},
		{name: "RevokeMeetsRotations", f: testRevokeMeetsRotations, on: postgres},
		{name: "PoolOfOneUnknownColumn", f: testPoolOfOneUnknownColumn},
		{name: "Uncomparable", f: testUncomparable},
		{name: "BeginTx", f: testBeginTx},
		{name: "VersionAdded", f: testVersionAdded},
		{name: "Generated", f: testGenerated},
		{name: "AutoIncrement", f: testAutoIncrement, on: mysql},
		{name: "RotateCharset", f: testRotateCharset, on: mysql},
		{name: "UnknownDefault", f: testUnknownDefault},
		{name: "TouchBetween", f: testTouchBetween},
		{name: "TouchAtTheCap", f: testTouchAtTheCap},
		{name: "PurgeBetween", f: testPurgeBetween},
		{name: "RevokedRow", f: testRevokedRow},
		{name: "NoIDFromTheDatabase", f: testNoIDFromTheDatabase, on: servers},
		{name: "StatementTimeout", f: testStatementTimeout},
		{name: "NarrowCharset", f: testNarrowCharset, on: mysql},
		{name: "CloseWaits", f: testCloseWaits},
		{name: "UpdateLocks", f: testUpdateLocks, on: servers},
		{name: "BareUpdate", f: testBareUpdate},
		{name: "ExpiresUnderLock", f: testExpiresUnderLock},
		{name: "UnsignedTimeout", f: testUnsignedTimeout, on: mysql},
		{name: "IDsIgnoringCase", f: testIDsIgnoringCase},
		{name: "ListStopsMatching", f: testListStopsMatching},
		{name: "OwnSlice", f: testOwnSlice},
		{name: "LockedRow", f: testLockedRow, on: servers},
		{name: "Overloaded", f: testOverloaded},
		{name: "Stats", f: testStats},
		{name: "TogetherConstraint", f: testTogetherConstraint},
		{name: "TogetherConflict", f: testTogetherConflict},
		{name: "TogetherLoads", f: testTogetherLoads},
		{name: "TogetherColumns", f: testTogetherColumns},
		{name: "TogetherCharset", f: testTogetherCharset, on: mysql},
		{name: "TogetherCancel", f: testTogetherCancel},
		{name: "TogetherDelete", f: testTogetherDelete},
		{name: "TogetherStores", f: testTogetherStores},
		{name: "TogetherClose", f: testTogetherClose},
		{name: "Histories", f: testHistories},
	}
	for _, test := range tests {
		if len(test.on) > 0 && !slices.Contains(test.on, kind.Dialect) || mode.Crowded && !slices.Contains(crowded, test.name) {
			continue
		}
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			db := kind.New(t)
			test.f(t, &env{T: t, db: db, admin: db.Admin(t), mode: mode})
		})
	}
}

// crowded are the tests with many callers at once.
var crowded = []string{
	"CloseDuringCalls", "RevocationRaces", "CounterIsExact", "SharedSession", "CloseWaits", "LockedRow", "Overloaded", "Stats", "Histories",
	"TogetherConstraint", "TogetherConflict", "TogetherLoads", "TogetherColumns", "TogetherCharset", "TogetherCancel", "TogetherDelete", "TogetherStores", "TogetherClose",
}

// env is what a test works with: a database of its own, and a way to look at it from outside.
type env struct {
	*testing.T
	db    *dbtest.DB
	admin *sql.DB
	mode  Mode
}

// another tells that the test runs on postgres15, and need not be paid for again: what it is about does not depend on the server's version.
func (e *env) another() bool {
	return e.db.Kind.Dialect == dbtest.Postgres && e.db.Kind.Name != "postgres15"
}

var ctx = context.Background()

// How long a test waits for something to become true, and how often it looks.
const (
	waitFor = 20 * time.Second
	tick    = 5 * time.Millisecond
)

func (e *env) config(change ...func(*entsession.Config)) entsession.Config {
	cfg := entsession.Config{
		Driver:           map[string]string{dbtest.Postgres: "postgres", dbtest.MySQL: "mysql", dbtest.SQLite: "sqlite"}[e.db.Kind.Dialect],
		Database:         e.db.Name,
		Username:         e.db.User,
		Password:         e.db.Password,
		Hostname:         e.db.Host,
		Port:             e.db.Port,
		DisableAutopurge: true,
	}
	if e.db.Kind.Dialect == dbtest.SQLite {
		cfg.Database = e.db.File
		cfg.Params = map[string]string{"synchronous": "off"}
	}
	if e.mode.Change != nil {
		e.mode.Change(&cfg)
	}
	for _, c := range change {
		c(&cfg)
	}
	return cfg
}

// open opens a store that is closed at the end of the test.
func (e *env) open(change ...func(*entsession.Config)) *entsession.Store {
	e.Helper()
	store, err := entsession.Open(ctx, e.config(change...))
	require.NoError(e, err)
	if e.mode.Opened != nil {
		e.mode.Opened(store)
	}
	e.Cleanup(func() { require.NoError(e, store.Close()) })
	return store
}

// store opens a store and makes its table.
func (e *env) store(change ...func(*entsession.Config)) *entsession.Store {
	e.Helper()
	store := e.open(change...)
	require.NoError(e, store.Migrate(ctx))
	return store
}

// exec runs a statement behind the store's back. $1… are written in PostgreSQL's form.
func (e *env) exec(query string, args ...any) {
	e.Helper()
	_, err := e.admin.ExecContext(ctx, e.sql(query), args...)
	require.NoError(e, err)
}

func (e *env) int(query string, args ...any) int64 {
	e.Helper()
	var n int64
	require.NoError(e, e.admin.QueryRowContext(ctx, e.sql(query), args...).Scan(&n))
	return n
}

func (e *env) text(query string, args ...any) string {
	e.Helper()
	var s sql.NullString
	require.NoError(e, e.admin.QueryRowContext(ctx, e.sql(query), args...).Scan(&s))
	return s.String
}

func (e *env) sql(query string) string {
	if e.db.Kind.Dialect != dbtest.Postgres {
		for _, n := range []string{"$1", "$2", "$3", "$4"} {
			query = strings.ReplaceAll(query, n, "?")
		}
	}
	return strings.ReplaceAll(query, "{now}", map[string]string{
		dbtest.Postgres: "floor(extract(epoch from now()))::bigint",
		dbtest.MySQL:    "cast(unix_timestamp() as signed)",
		dbtest.SQLite:   "unixepoch()",
	}[e.db.Kind.Dialect])
}

// expire moves a session's timeout into the past, behind the store's back.
func (e *env) expire(s *entsession.Session) {
	e.Helper()
	e.exec("UPDATE sessions SET timeout = {now} - 1 WHERE id = $1", s.Key())
}

func (e *env) create(store *entsession.Store, data string, cols ...entsession.Column) *entsession.Session {
	e.Helper()
	s, err := store.Create(ctx, []byte(data), cols...)
	require.NoError(e, err)
	return s
}

func (e *env) live(store *entsession.Store, id string) bool {
	e.Helper()
	_, err := store.Load(ctx, id)
	if err != nil {
		require.ErrorIs(e, err, entsession.ErrNotFound)
	}
	return err == nil
}

// dbNow is the database's clock.
func (e *env) dbNow() time.Time { return time.Unix(e.int("SELECT {now}"), 0) }

const bareTable = "CREATE TABLE sessions (id char(72) NOT NULL PRIMARY KEY, data text, timeout integer, note varchar(40))"

func application(name string) func(*entsession.Config) {
	return func(c *entsession.Config) { c.Application = name }
}

package conformance

import (
	"context"
	"errors"
	"strings"
	"testing"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/internal/dbtest"
)

// testPurgeLock: a store goes without the purge's lock once the database has said that it has none, and not when something was wrong one time.
func testPurgeLock(t *testing.T, e *env) {
	e.store()
	asked := 0
	var refuse error
	drv := &refusing{Driver: entsql.OpenDB(e.db.Kind.Dialect, e.db.Admin(t)), refuse: func(query string) error {
		if !strings.Contains(query, "advisory") && !strings.Contains(query, "GET_LOCK") {
			return nil
		}
		asked++
		return refuse
	}}
	store, err := entsession.New(ctx, drv, entsession.Config{DisableAutopurge: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	purge := func() error {
		e.fill("dead", 1, -10)
		_, err := store.Purge(ctx)
		return err
	}
	for _, odd := range []error{errors.New("out of memory"), codeError(e, "53100", 1021)} { // disk full
		refuse = odd
		require.ErrorIs(t, purge(), odd)
		refuse, asked = nil, 0
		e.exec("DELETE FROM sessions")
		require.NoError(t, purge())
		require.Positive(t, asked, "it takes the lock again")
	}
	refuse = codeError(e, "0A000", 1235) // not supported
	require.NoError(t, purge())
	require.Zero(t, e.int("SELECT count(*) FROM sessions"))
	asked = 0
	require.NoError(t, purge())
	require.Zero(t, asked, "it knows")
}

// codeError is an error as the server's driver has it.
func codeError(e *env, state string, number uint16) error {
	if e.db.Kind.Dialect == dbtest.MySQL {
		return &mysql.MySQLError{Number: number}
	}
	return stateError(state)
}

type stateError string

func (e stateError) Error() string    { return "SQLSTATE " + string(e) }
func (e stateError) SQLState() string { return string(e) }

// refusing is a driver that fails the queries of its transactions that a test wants to fail.
type refusing struct {
	dialect.Driver
	refuse func(query string) error
}

func (r *refusing) Tx(ctx context.Context) (dialect.Tx, error) {
	tx, err := r.Driver.Tx(ctx)
	if err != nil {
		return nil, err
	}
	return &refusingTx{tx, r}, nil
}

type refusingTx struct {
	dialect.Tx
	driver *refusing
}

func (t *refusingTx) Query(ctx context.Context, query string, args, v any) error {
	if err := t.driver.refuse(query); err != nil {
		return err
	}
	return t.Tx.Query(ctx, query, args, v)
}

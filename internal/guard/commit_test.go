package guard_test

import (
	"context"
	"database/sql/driver"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/internal/dbtest"
)

// A context may end between the last statement of a transaction and its commit, which is then not even sent. The pool must not take the connection
// back with the transaction open: the next caller would read what was true when that began, and write what is never committed.
func TestCommitTooLate(t *testing.T) {
	forEach(t, func(t *testing.T, db *dbtest.DB) {
		admin := db.Admin(t)
		run(t, admin, `CREATE TABLE t (n int)`)
		opened, err := connector(t, db.Kind.Dialect, settings(db, never)).Connect(deadline(t))
		require.NoError(t, err)
		defer opened.Close()
		insert := func() {
			_, err := opened.(driver.ExecerContext).ExecContext(deadline(t), `INSERT INTO t VALUES (1)`, nil)
			require.NoError(t, err)
		}
		ctx, cancel := context.WithCancel(deadline(t))
		tx, err := opened.(driver.ConnBeginTx).BeginTx(ctx, driver.TxOptions{})
		require.NoError(t, err)
		insert()
		cancel()
		require.ErrorIs(t, tx.Commit(), context.Canceled)
		require.Zero(t, number(t, admin, `SELECT count(*) FROM t`))
		if !opened.(driver.Validator).IsValid() {
			return // the pool closes it
		}
		insert()
		require.Equal(t, 1, number(t, admin, `SELECT count(*) FROM t`), "it is used again, and what it writes is committed")
	})
}

package fault_test

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/internal/dbtest"
	"github.com/entsession/entsession/internal/fault"
)

// A backend that crashes takes all others with it, and nobody gets in until the server has recovered.
func TestBackendCrash(t *testing.T) {
	t.Parallel()
	for _, kind := range dbtest.Kinds(dbtest.Postgres) {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			server := kind.Start(t)
			db := server.New(t)
			pool := open(t, kind.Dialect, settings(db))
			victim, other := connect(t, pool), connect(t, pool)
			failed := sleeping(t, db, other)
			require.NoError(t, syscall.Kill(idOf(t, kind, victim), syscall.SIGKILL))
			err := <-failed
			t.Log("another one:", err)
			requireFault(t, fault.Lost, []string{"SQLSTATE 57P02", ""}, err)
			_, err = victim.ExecContext(deadline(t), `SELECT 1`)
			t.Log("its own:", err)
			requireFault(t, fault.Lost, []string{"SQLSTATE 57P02", ""}, err)
			require.Eventually(t, func() bool {
				err := pool.PingContext(deadline(t))
				if err != nil {
					requireFault(t, fault.NotSent, []string{"SQLSTATE 57P03", "SQLSTATE 57P02", ""}, err)
				}
				return err == nil
			}, patience, time.Millisecond)
		})
	}
}

// A replica takes no writes, and cancels a statement that stands in the way of what the primary did.
func TestReplica(t *testing.T) {
	t.Parallel()
	kind := dbtest.Kinds(dbtest.Postgres)[0]
	pair := kind.StartPair(t, dbtest.Setting("max_standby_streaming_delay", "0"), dbtest.Setting("hot_standby_feedback", "off"))
	db := pair.Primary().New(t)
	primary := open(t, kind.Dialect, settings(db))
	run(t, primary, `CREATE TABLE t (id int)`, `INSERT INTO t VALUES (1)`)
	replica := db.On(pair.Standby())
	s := settings(replica)
	s.Params = map[string]string{"target_session_attrs": "any"}
	pool := open(t, kind.Dialect, s)
	require.Eventually(t, func() bool { return pool.QueryRow(`SELECT count(*) FROM t`).Scan(new(int)) == nil }, patience, time.Millisecond)
	for _, write := range []string{`INSERT INTO t VALUES (2)`, `SELECT * FROM t FOR UPDATE`} {
		_, err := pool.ExecContext(deadline(t), write)
		requireFault(t, fault.ReadOnly, code("SQLSTATE 25006"), err)
	}

	tx, err := pool.BeginTx(deadline(t), &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	require.NoError(t, err)
	defer func() { _ = tx.Rollback() }()
	require.NoError(t, tx.QueryRow(`SELECT count(*) FROM t`).Scan(new(int)))
	failed := make(chan error, 1)
	ctx := deadline(t)
	go func() {
		_, err := tx.ExecContext(ctx, `SELECT pg_sleep(60)`)
		failed <- err
	}()
	run(t, primary, `ALTER TABLE t ADD COLUMN more int`)
	err = <-failed
	t.Log("in the way of the primary:", err)
	requireFault(t, fault.Contention, code("SQLSTATE 40001"), err)

	// Unless told otherwise, nobody gets in; nor of several hosts, when none is a primary.
	s = settings(replica)
	err = open(t, kind.Dialect, s).PingContext(deadline(t))
	requireFault(t, fault.ReadOnly, nil, err)
	s.Hostname = fmt.Sprintf("%s,%s", s.Hostname, s.Hostname)
	err = open(t, kind.Dialect, s).PingContext(deadline(t))
	requireFault(t, fault.ReadOnly, nil, err)
}

// A pooler says everything with one code, and then hangs up.
func TestPgBouncer(t *testing.T) {
	t.Parallel()
	kind := dbtest.Kinds(dbtest.Postgres)[0]
	server := kind.Start(t)
	pooler := server.PgBouncer(t, dbtest.Setting("query_wait_timeout", "1"), dbtest.Setting("default_pool_size", "2"), dbtest.Setting("max_client_conn", "8"))
	db := pooler.New(t)
	s := settings(db)

	t.Log("full:", requireFull(t, open(t, kind.Dialect, s), "SQLSTATE 08P01"))

	// It gives each transaction whichever server connection is free: one that does not know what was prepared on another one, or one that knows it
	// from another client.
	pool := open(t, kind.Dialect, s)
	const prepared = `SELECT $1::int`
	one, two := connect(t, pool), connect(t, pool)
	_, err := one.ExecContext(deadline(t), prepared, 1)
	require.NoError(t, err)
	run(t, two, `BEGIN`) // takes that server connection
	_, err = one.ExecContext(deadline(t), prepared, 2)
	t.Log("on another server connection:", err)
	requireFault(t, fault.StalePlan, code("SQLSTATE 26000"), err)
	_, err = two.ExecContext(deadline(t), prepared, 3)
	t.Log("on one that knows it:", err)
	requireFault(t, fault.StalePlan, code("SQLSTATE 42P05"), err)
	run(t, two, `ROLLBACK`)

	// No server connection becomes free.
	s.Params = map[string]string{"default_query_exec_mode": "exec"}
	pool = open(t, kind.Dialect, s)
	waits := connect(t, pool)
	busy := []*sql.Tx{begin(t, pool, nil, `SELECT 1`), begin(t, pool, nil, `SELECT 1`)}
	_, err = waits.ExecContext(deadline(t), `SELECT $1::int`, 1)
	t.Log("no free server connection:", err)
	requireFault(t, fault.Lost, code("SQLSTATE 08P01"), err)
	for _, tx := range busy {
		require.NoError(t, tx.Rollback())
	}

	// The server is gone; those who wait for it are told at last.
	idle := connect(t, pool)
	require.NoError(t, server.Kill())
	_, err = idle.ExecContext(deadline(t), `SELECT $1::int`, 1)
	t.Log("the server was killed:", err)
	requireFault(t, fault.Lost, nil, err)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			conn, err := pool.Conn(deadline(t))
			if err == nil {
				_, err = conn.ExecContext(deadline(t), `SELECT $1::int`, 1)
				_ = conn.Close()
			}
			t.Log("while it is away:", err)
			if kind := fault.Of(err); kind != fault.Lost && kind != fault.NotSent {
				t.Errorf("%v: %v", kind, err)
			}
		})
	}
	wg.Wait()
	require.NoError(t, server.Restart())
	require.Eventually(t, func() bool { return pool.PingContext(deadline(t)) == nil }, patience, 10*time.Millisecond)

	// The pooler goes.
	failed := sleepingBehind(t, pool)
	require.NoError(t, pooler.Kill())
	requireFault(t, fault.Lost, nil, <-failed)
	err = pool.PingContext(deadline(t))
	requireFault(t, fault.NotSent, nil, err)
	require.NoError(t, pooler.Restart())
	require.NoError(t, pool.PingContext(deadline(t)))
}

// sleepingBehind is sleeping, for a pool that has no connections of its own on the server.
func sleepingBehind(t *testing.T, pool *sql.DB) <-chan error {
	t.Helper()
	conn := connect(t, pool)
	run(t, conn, `SELECT 1`)
	failed := make(chan error, 1)
	ctx := deadline(t)
	go func() {
		_, err := conn.ExecContext(ctx, `SELECT pg_sleep(61)`)
		failed <- err
	}()
	require.Eventually(t, func() bool {
		var n int
		err := pool.QueryRow(`SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(61)%' AND pid <> pg_backend_pid()`).Scan(&n)
		return err == nil && n > 0
	}, patience, time.Millisecond)
	return failed
}

// A node that lost its cluster answers, and does nothing; and two nodes may each think that they are first.
func TestGalera(t *testing.T) {
	t.Parallel()
	cluster := dbtest.NewGalera(t)
	db := cluster.Nodes[0].New(t)
	kind := db.Kind
	pools := make([]*sql.DB, 2)
	for i := range pools {
		pools[i] = open(t, kind.Dialect, settings(db.On(cluster.Nodes[i])))
	}
	run(t, pools[0], `CREATE TABLE t (id int PRIMARY KEY, n int)`, `INSERT INTO t VALUES (1, 0)`)
	require.NoError(t, cluster.Settle())

	conflicts := 0
	for range 50 {
		a, b := begin(t, pools[0], nil, `UPDATE t SET n = n + 1`), begin(t, pools[1], nil, `UPDATE t SET n = n + 1`)
		answers := make(chan error, 2)
		for _, tx := range []*sql.Tx{a, b} {
			go func() { answers <- tx.Commit() }()
		}
		for range 2 {
			if err := <-answers; err != nil {
				requireFault(t, fault.Contention, code("error 1213"), err)
				conflicts++
			}
		}
		_, _ = a.Rollback(), b.Rollback()
	}
	t.Log("conflicts:", conflicts)
	require.NotZero(t, conflicts)

	require.NoError(t, cluster.Cut(cluster.Nodes[1]))
	for _, statement := range []string{`SELECT * FROM t`, `UPDATE t SET n = 0`} {
		_, err := pools[1].ExecContext(context.Background(), statement)
		t.Log("cut off:", err)
		requireFault(t, fault.NotSent, code("error 1047"), err)
	}
	run(t, pools[0], `UPDATE t SET n = 0`)
	require.NoError(t, cluster.Join(cluster.Nodes[1]))
	require.NoError(t, cluster.Settle())
	run(t, pools[1], `UPDATE t SET n = 0`)
}

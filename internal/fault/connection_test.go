package fault_test

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/internal/backend"
	"github.com/entsession/entsession/internal/dbtest"
	"github.com/entsession/entsession/internal/fault"
)

var (
	connectionID = map[string]string{dbtest.Postgres: `SELECT pg_backend_pid()`, dbtest.MySQL: `SELECT CONNECTION_ID()`}
	kill         = map[string]string{dbtest.Postgres: `SELECT pg_terminate_backend(%d)`, dbtest.MySQL: `KILL %d`}
	sleep        = map[string]string{dbtest.Postgres: `SELECT pg_sleep(60)`, dbtest.MySQL: `SELECT SLEEP(60)`}
	busy         = map[string]string{
		dbtest.Postgres: `SELECT count(*) FROM pg_stat_activity WHERE pid = %d AND state = 'active'`,
		dbtest.MySQL:    `SELECT count(*) FROM information_schema.processlist WHERE id = %d AND command = 'Query'`,
	}
)

func idOf(t *testing.T, kind dbtest.Kind, conn *sql.Conn) int {
	t.Helper()
	var id int
	require.NoError(t, conn.QueryRowContext(deadline(t), connectionID[kind.Dialect]).Scan(&id))
	return id
}

// sleeping runs a statement that takes a minute on a connection, waits until the server is at it, and returns its error to come.
func sleeping(t *testing.T, db *dbtest.DB, conn *sql.Conn) <-chan error {
	t.Helper()
	id := idOf(t, db.Kind, conn)
	failed := make(chan error, 1)
	ctx := deadline(t)
	go func() {
		_, err := conn.ExecContext(ctx, sleep[db.Kind.Dialect])
		failed <- err
	}()
	super := db.Super(t)
	require.Eventually(t, func() bool {
		var n int
		return super.QueryRow(fmt.Sprintf(busy[db.Kind.Dialect], id)).Scan(&n) == nil && n == 1
	}, patience, time.Millisecond)
	require.NoError(t, super.Close()) // it would outlive the server
	return failed
}

func TestKilled(t *testing.T) {
	t.Parallel()
	for _, kind := range dbtest.Kinds(dbtest.Postgres, dbtest.MySQL) {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			db := kind.New(t)
			pool := open(t, kind.Dialect, settings(db))
			super := db.Super(t)

			conn := connect(t, pool)
			id := idOf(t, kind, conn)
			failed := sleeping(t, db, conn)
			run(t, super, fmt.Sprintf(kill[kind.Dialect], id))
			err := <-failed
			t.Log("during a statement:", err)
			requireFault(t, fault.Lost, []string{"SQLSTATE 57P01", "error 1927", ""}, err)

			conn = connect(t, pool)
			id = idOf(t, kind, conn)
			run(t, super, fmt.Sprintf(kill[kind.Dialect], id))
			requireGone(t, super, kind, id)
			_, err = conn.ExecContext(deadline(t), `SELECT 1`)
			t.Log("between statements:", err)
			requireFault(t, fault.Lost, nil, err)
		})
	}
}

func requireGone(t *testing.T, super *sql.DB, kind dbtest.Kind, id int) {
	t.Helper()
	query := map[string]string{
		dbtest.Postgres: `SELECT count(*) FROM pg_stat_activity WHERE pid = %d`,
		dbtest.MySQL:    `SELECT count(*) FROM information_schema.processlist WHERE id = %d`,
	}[kind.Dialect]
	require.Eventually(t, func() bool {
		var n int
		return super.QueryRow(fmt.Sprintf(query, id)).Scan(&n) == nil && n == 0
	}, patience, time.Millisecond)
}

// servers are those that a test has for itself: starting them takes long, and the versions differ in nothing here.
func servers() []dbtest.Kind {
	return append(dbtest.Kinds(dbtest.Postgres)[:1], dbtest.Kinds(dbtest.MySQL)...)
}

// A server that is full, goes away in the middle of a statement, is away, and comes back.
func TestServer(t *testing.T) {
	t.Parallel()
	few := map[string][]dbtest.Option{
		dbtest.Postgres: {dbtest.Setting("max_connections", "8"), dbtest.Setting("superuser_reserved_connections", "3"), dbtest.Setting("max_wal_senders", "0")},
		dbtest.MySQL:    {dbtest.Setting("max-connections", "10")},
	}
	for _, kind := range servers() {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			server := kind.Start(t, few[kind.Dialect]...)
			db := server.New(t)

			t.Log("full:", requireFull(t, open(t, kind.Dialect, settings(db)), "SQLSTATE 53300", "error 1040"))
			if kind.Dialect == dbtest.MySQL {
				limit := `ALTER USER '` + db.User + `'@'%' WITH MAX_USER_CONNECTIONS `
				super := db.Super(t)
				// The server takes a moment to notice that connections were closed.
				require.Eventually(t, func() bool { return super.PingContext(deadline(t)) == nil }, 10*time.Second, 10*time.Millisecond)
				run(t, super, limit+`1`)
				t.Log("full for one user:", requireFull(t, open(t, kind.Dialect, settings(db)), "error 1203", "error 1226"))
				run(t, super, limit+`0`)
				require.NoError(t, super.Close())
			}

			pool := open(t, kind.Dialect, settings(db))
			if kind.Dialect == dbtest.MySQL {
				super := db.Super(t)
				run(t, pool, `CREATE TABLE t (id int)`)
				run(t, super, `SET GLOBAL read_only = 1`)
				_, err := pool.ExecContext(deadline(t), `INSERT INTO t VALUES (1)`)
				requireFault(t, fault.ReadOnly, code("error 1290"), err)
				run(t, super, `SET GLOBAL read_only = 0`)
				require.NoError(t, super.Close())
			}
			for name, end := range map[string]func() error{"shutdown": server.Shutdown, "killed": server.Kill} {
				failed := sleeping(t, db, connect(t, pool))
				require.NoError(t, end())
				err := <-failed
				t.Log(name+", during a statement:", err)
				requireFault(t, fault.Lost, []string{"SQLSTATE 57P01", "SQLSTATE 57P02", "error 1053", "error 1927", ""}, err)

				_, err = pool.ExecContext(deadline(t), `SELECT 1`)
				t.Log(name+", while it is away:", err)
				requireFault(t, fault.NotSent, nil, err)

				s := settings(db)
				s.Hostname = db.Socket
				_, err = open(t, kind.Dialect, s).ExecContext(deadline(t), `SELECT 1`)
				t.Log(name+", over its socket:", err)
				requireFault(t, fault.NotSent, nil, err)

				require.NoError(t, server.Restart())
				_, err = pool.ExecContext(deadline(t), `SELECT 1`)
				require.NoError(t, err)
			}
			if kind.Dialect == dbtest.Postgres {
				leaving(t, server, db, pool)
			}
		})
	}
}

// requireFull takes all connections of a server, and gives them back.
func requireFull(t *testing.T, pool *sql.DB, codes ...string) error {
	t.Helper()
	for range 20 {
		conn, err := pool.Conn(deadline(t))
		if err != nil {
			requireFault(t, fault.NotSent, codes, err)
			return err
		}
		defer conn.Close()
	}
	t.Fatal("it takes 20")
	return nil
}

// leaving asks PostgreSQL for its "smart" shutdown: it takes nobody any more, and waits for those that it has.
func leaving(t *testing.T, server *dbtest.Server, db *dbtest.DB, pool *sql.DB) {
	t.Helper()
	require.NoError(t, pool.PingContext(deadline(t)))
	require.NoError(t, syscall.Kill(server.Pid(), syscall.SIGTERM))
	var err error
	require.Eventually(t, func() bool {
		other := open(t, db.Kind.Dialect, settings(db))
		defer other.Close()
		err = other.PingContext(deadline(t))
		return err != nil
	}, patience, time.Millisecond)
	requireFault(t, fault.NotSent, code("SQLSTATE 57P03"), err)
	require.NoError(t, pool.Close())
	require.Eventually(t, func() bool { return server.Pid() == 0 }, patience, time.Millisecond)
}

// Trying again would not help here.
func TestServerRefusesForGood(t *testing.T) {
	t.Parallel()
	for _, kind := range dbtest.Kinds(dbtest.Postgres, dbtest.MySQL) {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			db := kind.New(t)
			for name, change := range map[string]func(*backend.Settings){
				"password":  func(s *backend.Settings) { s.Password = "wrong" },
				"user":      func(s *backend.Settings) { s.Username = "nobody" },
				"database":  func(s *backend.Settings) { s.Database = "missing" },
				"onconnect": func(s *backend.Settings) { s.OnConnect = []string{`SELECT 1 FROM missing`} },
			} {
				s := settings(db)
				change(&s)
				err := open(t, kind.Dialect, s).PingContext(deadline(t))
				t.Log(err)
				require.Equal(t, fault.Other, fault.Of(err), "%s: %v", name, err)
			}
		})
	}
}

// A server that accepts the connection and then says nothing, or hangs up.
func TestServerMute(t *testing.T) {
	t.Parallel()
	for dialect, params := range map[string]map[string]string{
		dbtest.Postgres: {"connect_timeout": "1"},
		dbtest.MySQL:    {"timeout": "20ms"},
	} {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			defer listener.Close()
			address := listener.Addr().(*net.TCPAddr)
			s := backend.Settings{Database: "d", Username: "u", Hostname: "127.0.0.1", Port: address.Port, Params: params}
			err = open(t, dialect, s).PingContext(deadline(t))
			t.Log(err)
			requireFault(t, fault.NotSent, nil, err)

			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
			defer cancel()
			s.Params = nil
			err = open(t, dialect, s).PingContext(ctx)
			t.Log(err)
			requireFault(t, fault.Other, nil, err) // the caller's time was over

			go func() {
				for {
					conn, err := listener.Accept()
					if err != nil {
						return
					}
					_ = conn.Close()
				}
			}()
			err = open(t, dialect, s).PingContext(deadline(t))
			t.Log(err)
			requireFault(t, fault.NotSent, nil, err)
		})
	}
}

func TestSessionIdledAway(t *testing.T) {
	t.Parallel()
	for _, kind := range dbtest.Kinds(dbtest.Postgres) {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			db := kind.New(t)
			pool, super := open(t, kind.Dialect, settings(db)), db.Super(t)
			conn := connect(t, pool)
			id := idOf(t, kind, conn)
			run(t, conn, `SET idle_in_transaction_session_timeout = '5ms'`, `BEGIN`)
			requireGone(t, super, kind, id)
			_, err := conn.ExecContext(deadline(t), `SELECT 1`)
			requireFault(t, fault.NotSent, code("SQLSTATE 25P03"), err)

			var version int
			require.NoError(t, pool.QueryRow(`SELECT current_setting('server_version_num')::int`).Scan(&version))
			if version < 140000 {
				return
			}
			conn = connect(t, pool)
			id = idOf(t, kind, conn)
			run(t, conn, `SET idle_session_timeout = '5ms'`)
			requireGone(t, super, kind, id)
			_, err = conn.ExecContext(deadline(t), `SELECT 1`)
			requireFault(t, fault.NotSent, code("SQLSTATE 57P05"), err)
		})
	}
}

func TestSQLiteFileMovedAway(t *testing.T) {
	t.Parallel()
	for _, kind := range dbtest.Kinds(dbtest.SQLite) {
		s := settings(kind.New(t))
		s.Params = map[string]string{"journal_mode": "delete"}
		pool := open(t, kind.Dialect, s)
		conn := connect(t, pool)
		run(t, conn, `CREATE TABLE t (id int)`)
		require.NoError(t, os.Rename(s.Database, s.Database+".moved"))
		_, err := conn.ExecContext(deadline(t), `INSERT INTO t VALUES (1)`)
		requireFault(t, fault.ReadOnly, code("SQLite code 1032"), err) // SQLITE_READONLY_DBMOVED
	}
}

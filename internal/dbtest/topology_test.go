package dbtest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// modern is a PostgreSQL that topologies are made of.
func modern() Kind { return Kinds(Postgres)[0] }

// TestPair fails over back and forth: nothing acknowledged is lost, and only the primary takes writes.
func TestPair(t *testing.T) {
	t.Parallel()
	p := modern().StartPair(t)
	d, err := p.Primary().Create()
	require.NoError(t, err)
	_, err = d.Admin(t).Exec(`CREATE TABLE probe (n integer)`)
	require.NoError(t, err)
	for n := range 2 {
		old, next := p.Primary(), p.Standby()
		standby := d.On(next).Admin(t)
		require.Eventually(t, func() bool { // what it has got may not be visible yet
			_, err = standby.Exec(`INSERT INTO probe VALUES (0)`)
			return err != nil && strings.Contains(err.Error(), "25006")
		}, patience, 10*time.Millisecond)
		require.ErrorContains(t, p.Promote(), "still up")

		primary := d.On(old).Admin(t)
		for i := range 20 {
			_, err = primary.Exec(`INSERT INTO probe VALUES ($1)`, n*20+i)
			require.NoError(t, err)
		}
		require.NoError(t, old.Kill())
		require.NoError(t, p.Promote())
		require.Same(t, next, p.Primary())
		require.Equal(t, fmt.Sprint((n+1)*20), ask(t, d.On(next).Admin(t), `SELECT count(*) FROM probe`))
		_, err = d.On(next).Admin(t).Exec(`CREATE TABLE alone` + fmt.Sprint(n) + ` (n integer)`)
		require.NoError(t, err, "a primary without a standby takes writes")

		require.NoError(t, p.Rejoin())
		require.Same(t, old, p.Standby())
	}
}

// TestPgBouncer shows that connections are pooled per transaction, and that a pooler comes back.
func TestPgBouncer(t *testing.T) {
	t.Parallel()
	s := modern().Start(t)
	b := s.PgBouncer(t, Setting("default_pool_size", "1"))
	d := b.New(t)
	one, two := d.open(t, d.DSN()), d.open(t, d.DSN())
	pid := ask(t, one, `SELECT pg_backend_pid()`)
	require.Equal(t, pid, ask(t, two, `SELECT pg_backend_pid()`), "two clients, one server connection")
	require.Equal(t, d.Name, ask(t, d.Admin(t), `SELECT current_database()`))
	require.NotEqual(t, pid, ask(t, d.Admin(t), `SELECT pg_backend_pid()`))

	require.NoError(t, b.Kill())
	require.Error(t, one.Ping())
	require.NoError(t, b.Restart())
	require.Equal(t, d.Name, ask(t, one, `SELECT current_database()`))

	require.NoError(t, s.Kill())
	require.Error(t, one.Ping())
	require.NoError(t, s.Restart())
	require.Eventually(t, func() bool { return one.Ping() == nil }, patience, 10*time.Millisecond)
}

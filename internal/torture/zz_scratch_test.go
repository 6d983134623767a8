package torture

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/internal/dbtest"
)

func TestScratchVisible(t *testing.T) {
	for _, kind := range append(dbtest.Kinds(dbtest.MySQL), dbtest.Kinds(dbtest.Postgres)[0]) {
		s := kind.Start(t, dbtest.Durable())
		db, err := s.Create()
		require.NoError(t, err)
		admin, err := openAdmin(db)
		require.NoError(t, err)
		admin.SetMaxIdleConns(4)
		ctx := context.Background()
		_, err = admin.Exec("CREATE TABLE v (id int primary key, n bigint)")
		require.NoError(t, err)
		_, err = admin.Exec("INSERT INTO v VALUES (1,0)")
		require.NoError(t, err)
		vanished, lost := 0, 0
		for round := range 15 {
			stop := make(chan struct{})
			var acked, seen int64
			done := make(chan struct{}, 2)
			go func() {
				defer func() { done <- struct{}{} }()
				c, _ := admin.Conn(ctx)
				defer c.Close()
				var n int64
				c.QueryRowContext(ctx, "SELECT n FROM v").Scan(&n)
				for {
					if _, err := c.ExecContext(ctx, "UPDATE v SET n = n + 1"); err != nil {
						return
					}
					n++
					acked = n
				}
			}()
			go func() {
				defer func() { done <- struct{}{} }()
				c, _ := admin.Conn(ctx)
				defer c.Close()
				for {
					var n int64
					if err := c.QueryRowContext(ctx, "SELECT n FROM v").Scan(&n); err != nil {
						return
					}
					seen = n
				}
			}()
			time.Sleep(300 * time.Millisecond)
			require.NoError(t, s.Kill())
			<-done
			<-done
			close(stop)
			require.NoError(t, s.Restart())
			var after int64
			require.NoError(t, admin.QueryRow("SELECT n FROM v").Scan(&after))
			if seen > after {
				vanished++
			}
			if acked > after {
				lost++
			}
			_ = round
		}
		t.Logf("%s: in 15 kills, what a reader had seen was gone after %d, what was acknowledged after %d", kind.Name, vanished, lost)
		admin.Close()
	}
}

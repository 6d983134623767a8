package entsession_test

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/internal/dbtest"
)

// TestTripOfSeveralTransactions: behind what ends a transaction with each statement, as some relatives of PostgreSQL and poolers do, those before the one that
// fails have been committed. They are not sent again as if someone else had changed the session.
func TestTripOfSeveralTransactions(t *testing.T) {
	t.Parallel()
	kind := dbtest.Kinds(dbtest.Postgres)[0]
	db := kind.New(t)
	cfg := storeConfig(kind, db)
	cfg.Hostname, cfg.Port = "127.0.0.1", splitter(t, fmt.Sprintf("%s:%d", db.Host, db.Port))
	cfg.Params = map[string]string{"sslmode": "disable"}
	store := opened(t, cfg)
	entsession.Pipelined(store)
	_, err := db.Super(t).Exec("ALTER TABLE sessions ADD CONSTRAINT no_d CHECK (data <> 'd')")
	require.NoError(t, err)
	var wg sync.WaitGroup
	var over atomic.Bool
	const refused = 150
	for i := range 8 {
		wg.Go(func() {
			s, err := store.Create(t.Context(), []byte("x"))
			if !assert.NoError(t, err) {
				over.Store(true)
				return
			}
			for k := 0; i > 0 && !over.Load(); k++ {
				s.Data = []byte(fmt.Sprint(k))
				assert.NoError(t, store.Save(t.Context(), s))
			}
			for k := 0; i == 0 && k < refused; k++ {
				s.Data = []byte("d")
				assert.Error(t, store.Save(t.Context(), s))
			}
			over.Store(true)
		})
	}
	wg.Wait()
	failed := int64(0)
	for _, l := range store.Stats().Lanes {
		failed += int64(l.Failed)
	}
	require.GreaterOrEqual(t, failed, int64(refused), "batches")
}

// splitter is a proxy that puts a Sync behind each Execute, and keeps the answers to those from the client. It gives its port.
func splitter(t *testing.T, target string) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var wg sync.WaitGroup
	t.Cleanup(func() {
		assert.NoError(t, l.Close())
		wg.Wait()
	})
	wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer client.Close()
				if server, err := net.Dial("tcp", target); assert.NoError(t, err) {
					defer server.Close()
					split(&wg, client, server)
				}
			})
		}
	})
	return l.Addr().(*net.TCPAddr).Port
}

func split(wg *sync.WaitGroup, client, server net.Conn) {
	var hold atomic.Int64 // answers
	wg.Go(func() {
		defer client.Close()
		r := bufio.NewReader(server)
		for {
			m, err := message(r, 1)
			switch {
			case err != nil:
				return
			case m[0] == 'Z' && hold.Load() > 0: // ReadyForQuery
				hold.Add(-1)
			default:
				_, _ = client.Write(m)
			}
		}
	})
	r := bufio.NewReader(client)
	m, err := message(r, 0) // the first has no type
	for err == nil {
		if m[0] == 'E' {
			hold.Add(1)
			m = append(m, 'S', 0, 0, 0, 4)
		}
		_, _ = server.Write(m)
		m, err = message(r, 1)
	}
}

// message reads one of PostgreSQL's: the type, if it has one, the length, and what comes then.
func message(r io.Reader, kind int) ([]byte, error) {
	head := make([]byte, kind+4)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	body := make([]byte, binary.BigEndian.Uint32(head[kind:])-4)
	_, err := io.ReadFull(r, body)
	return append(head, body...), err
}

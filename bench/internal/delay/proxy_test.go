package delay

import (
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const half = 500 * time.Microsecond

// echo answers every byte with itself, on a Unix socket.
func echo(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "echo")
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	var all sync.WaitGroup
	t.Cleanup(func() { require.NoError(t, l.Close()); all.Wait() })
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				_, _ = io.Copy(c, c)
				_ = c.Close()
			})
		}
	})
	return path
}

func start(t *testing.T) *Proxy {
	t.Helper()
	p, err := Start("unix", echo(t), half)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}

func dial(t *testing.T, p *Proxy) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", p.Addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(time.Minute)))
	return c.(*net.TCPConn)
}

// TestRoundTrip: never less than the delay, and usually not much more. The bound of the median leaves room for a
// machine that is busy with other tests; quiet, it is 1.1 ms.
func TestRoundTrip(t *testing.T) {
	c := dial(t, start(t))
	var took []time.Duration
	b := make([]byte, 100)
	for range 300 {
		begin := time.Now()
		_, err := c.Write(b)
		require.NoError(t, err)
		_, err = io.ReadFull(c, b)
		require.NoError(t, err)
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	t.Logf("round trip: least %v, p25 %v, median %v, p99 %v", took[0], took[75], took[150], took[297])
	require.GreaterOrEqual(t, took[0], 2*half)
	require.Less(t, took[75], 2*2*half)
}

// TestTogether: what one connection waits does not hold up another one.
func TestTogether(t *testing.T) {
	p := start(t)
	const conns, trips = 100, 20
	begin := time.Now()
	var all sync.WaitGroup
	for range conns {
		c := dial(t, p)
		all.Go(func() {
			b := make([]byte, 100)
			for range trips {
				if _, err := c.Write(b); err != nil {
					t.Error(err)
					return
				}
				if _, err := io.ReadFull(c, b); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	require.Less(t, time.Since(begin), conns*trips*2*half/4, "one after the other would take four times that at least")
}

// TestStream sends more than any buffer holds, at once, and ends its direction: all must arrive, unchanged, in order,
// and the end after it. A delay for each chunk, one after the other, would take minutes.
func TestStream(t *testing.T) {
	c := dial(t, start(t))
	const size = 64 << 20
	sent, got := sha256.New(), sha256.New()
	var sender sync.WaitGroup
	sender.Go(func() {
		r := rand.NewChaCha8([32]byte{1})
		if _, err := io.CopyN(io.MultiWriter(c, sent), r, size); err != nil {
			t.Error(err)
		}
		if err := c.CloseWrite(); err != nil {
			t.Error(err)
		}
	})
	n, err := io.Copy(got, c)
	sender.Wait()
	require.NoError(t, err)
	require.EqualValues(t, size, n)
	require.Equal(t, sent.Sum(nil), got.Sum(nil))
}

// TestCloseCuts: nothing hangs when the proxy ends, and a target that is gone is a closed connection.
func TestCloseCuts(t *testing.T) {
	p, err := Start("unix", echo(t), half)
	require.NoError(t, err)
	c := dial(t, p)
	_, err = c.Write([]byte("x"))
	require.NoError(t, err)
	_, err = io.ReadFull(c, make([]byte, 1))
	require.NoError(t, err)
	require.NoError(t, p.Close())
	_, err = c.Read(make([]byte, 1))
	require.Error(t, err)

	gone, err := Start("unix", filepath.Join(t.TempDir(), "nothing"), half)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, gone.Close()) })
	_, err = dial(t, gone).Read(make([]byte, 1))
	require.Error(t, err)
}

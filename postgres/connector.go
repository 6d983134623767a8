package postgres

import (
	"context"
	"database/sql/driver"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// connector is pgx's, without two of its habits: its errors carry the configuration with the password, and a connection
// whose statement was cancelled is still being closed, by a goroutine, after Close has returned.
type connector struct {
	driver.Connector
	life context.Context // of every network connection
	end  context.CancelFunc
	// config is what the connections are made with.
	config *pgx.ConnConfig
	// prepares tells whether statements are to be prepared by name, and nobody wants to trace them.
	prepares bool

	mu      sync.Mutex
	closing []<-chan struct{} // each is closed when a connection's end is complete
}

func newConnector(config *pgx.ConnConfig) *connector {
	c := &connector{config: config, prepares: config.DefaultQueryExecMode == pgx.QueryExecModeCacheStatement && config.StatementCacheCapacity > 0 && config.Tracer == nil}
	c.life, c.end = context.WithCancel(context.Background())
	dial := config.DialFunc
	config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		return c.dial(ctx, dial, network, address)
	}
	// pgx would ping a connection that idled for one second.
	never := stdlib.OptionShouldPing(func(context.Context, stdlib.ShouldPingParams) bool { return false })
	c.Connector = stdlib.GetConnector(*config, never)
	return c
}

// Connect implements driver.Connector.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	inner, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, withoutConfig(err)
	}
	return &conn{Conn: inner.(*stdlib.Conn), connector: c}, nil
}

// netConn ends with the connector.
type netConn struct {
	net.Conn
	stop func() bool
}

func (c *connector) dial(ctx context.Context, dial pgconn.DialFunc, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.life, cancel)()
	opened, err := dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &netConn{opened, context.AfterFunc(c.life, func() { _ = opened.Close() })}, nil
}

// Close implements net.Conn.
func (c *netConn) Close() error {
	c.stop()
	return c.Conn.Close()
}

// closeGrace is the time that connections get to be closed in good order.
const closeGrace = time.Second

// Close waits for connections that are still being closed. pgx asks the server to cancel what they were doing, which may
// come to nothing, and gives it 15 seconds; here it has less.
func (c *connector) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	grace, cancel := context.WithTimeout(context.Background(), closeGrace)
	defer cancel()
	for _, done := range c.closing {
		select {
		case <-done:
		case <-grace.Done():
			c.end()
			<-done
		}
	}
	c.closing = nil
	return nil
}

func (c *connector) await(done <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	pending := c.closing[:0]
	for _, d := range append(c.closing, done) {
		select {
		case <-d:
		default:
			pending = append(pending, d)
		}
	}
	c.closing = pending
}

// connectError says in one line what pgx says in several, and does not lead to its configuration. With sslmode=prefer,
// pgx reports the attempt with TLS too, of which the one without it says more.
type connectError struct {
	text string
	err  error
}

func (e *connectError) Error() string { return e.text }
func (e *connectError) Unwrap() error { return e.err }

func withoutConfig(err error) error {
	var failed *pgconn.ConnectError
	if !errors.As(err, &failed) {
		return err
	}
	reason := failed.Unwrap()
	var lines []string
	for line := range strings.Lines(reason.Error()) {
		line = strings.TrimSpace(line)
		if !slices.Contains(lines, line) && !strings.HasSuffix(line, "server refused TLS connection") {
			lines = append(lines, line)
		}
	}
	if lines == nil {
		lines = []string{"the server refuses TLS"}
	}
	return &connectError{text: strings.Join(lines, "; "), err: reason}
}

package torture

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"time"
)

// probe writes a row of its own now and then, on a plain connection past all proxies: when that is slow too, it is the machine that is busy,
// and not a store that has not recovered.
type probe struct {
	mu      sync.Mutex
	begin   int64 // of the write under way; 0: none is
	samples []sample
}

type sample struct{ begin, end int64 }

const (
	probeEvery   = 100 * time.Millisecond
	probeTimeout = 3 * time.Second
	// busy is how long the probe takes on a machine too busy to expect anything of.
	busy = StatementTimeout / 4
)

// startProbe begins to probe. SQLite has one writer, whom all others wait for: there a probe would tell nothing.
func (c *campaign) startProbe(ctx context.Context) (stop func(), err error) {
	if c.schema.dialect == "sqlite" {
		return func() {}, nil
	}
	for _, text := range []string{"CREATE TABLE torture_probe (id int PRIMARY KEY, n bigint)", "INSERT INTO torture_probe VALUES (1, 0)"} {
		if _, err := c.Target.Admin().ExecContext(ctx, text); err != nil {
			return nil, fmt.Errorf("preparing the probe: %w", err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		var conn *sql.Conn
		for sleep(ctx, probeEvery) {
			conn = c.probeOnce(ctx, conn)
		}
		if conn != nil {
			_ = conn.Close()
		}
	})
	return func() { cancel(); wg.Wait() }, nil
}

// probeOnce makes one write, on the connection given if there is one, and returns that which is good for the next.
func (c *campaign) probeOnce(ctx context.Context, conn *sql.Conn) *sql.Conn {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	c.probe.start(c.at())
	defer func() { c.probe.stop(c.at()) }()
	var err error
	if conn == nil {
		if conn, err = c.Target.Admin().Conn(ctx); err != nil {
			return nil
		}
	}
	if _, err = conn.ExecContext(ctx, "UPDATE torture_probe SET n = n + 1 WHERE id = 1"); err != nil {
		_ = conn.Close()
		return nil
	}
	return conn
}

func (p *probe) start(at int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begin = at
}

func (p *probe) stop(at int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.samples = append(p.samples, sample{p.begin, at})
	p.begin = 0
	if len(p.samples) > 1000 {
		p.samples = p.samples[500:]
	}
}

// longest is the longest that a write took between two moments, the one under way included.
func (p *probe) longest(begin, end int64) (longest time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.begin > 0 && p.begin < end {
		longest = time.Duration(end - p.begin)
	}
	for _, s := range p.samples {
		if s.end > begin && s.begin < end {
			longest = max(longest, time.Duration(s.end-s.begin))
		}
	}
	return longest
}

package dbtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// Pair is a PostgreSQL primary with a streaming standby that takes over when the primary dies, any number of times.
//
// Replication is synchronous as long as both are up: a commit is answered when the standby has it on its disk. PostgreSQL's default, asynchronous
// replication, may lose at a failover what it has acknowledged, and then no client can do anything about it.
type Pair struct {
	change sync.Mutex // held while roles change
	mu     sync.Mutex // over the rest
	// The roles. The standby may be down.
	primary, standby *Server
}

// pairSettings let a server be either of the two.
var pairSettings = []Option{
	Setting("wal_level", "replica"), Setting("max_wal_senders", "4"), Setting("hot_standby", "on"),
	Setting("wal_sender_timeout", "5s"), Setting("wal_receiver_timeout", "5s"), Setting("wal_retrieve_retry_interval", "200ms"),
}

// StartPair starts a pair of a kind, which must be PostgreSQL 12 or later. The caller calls Stop at the end.
func StartPair(k Kind, opts ...Option) (*Pair, error) {
	engine, ok := k.engine.(postgresEngine)
	if !ok || engine.major < 12 {
		return nil, fmt.Errorf("starting a pair of %s: it is for PostgreSQL 12 and later", k.Name)
	}
	p := &Pair{}
	var err error
	if p.primary, err = Start(k, append(pairSettings, opts...)...); err != nil {
		return nil, err
	}
	p.standby, err = Start(k, append(append(pairSettings, opts...), beside(p.primary), copyOf(p.primary))...)
	if err == nil {
		err = p.inStep()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting a pair of %s: %w", k.Name, err), p.Stop())
	}
	return p, nil
}

// StartPair is the package's StartPair for a test.
func (k Kind) StartPair(t testing.TB, opts ...Option) *Pair {
	t.Helper()
	p, err := StartPair(k, opts...)
	if err != nil {
		skipOrFail(t, err)
	}
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Errorf("stopping a pair of %s: %v", k.Name, err)
		}
	})
	return p
}

// Primary is the server that takes writes, or did until it died.
func (p *Pair) Primary() *Server {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.primary
}

// Standby is the other one.
func (p *Pair) Standby() *Server {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.standby
}

// Promote makes the standby the primary and returns when it takes writes. The primary must be down: nothing here keeps two primaries from
// diverging. The new one is alone, and its commits wait for nobody, until Rejoin.
func (p *Pair) Promote() error {
	p.change.Lock()
	defer p.change.Unlock()
	if p.primary.Pid() != 0 {
		return errors.New("promoting the standby: the primary is still up")
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := p.standby.as(ctx, p.standby.super, "", `SELECT pg_promote()`); err != nil {
		return fmt.Errorf("promoting the standby: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.primary, p.standby = p.standby, p.primary
	return nil
}

// Rejoin brings back the server that is down, as the standby of the one that is up, with a new copy of its data. It returns when replication is
// synchronous again.
func (p *Pair) Rejoin() error {
	p.change.Lock()
	defer p.change.Unlock()
	if err := p.rejoin(); err != nil {
		return fmt.Errorf("rejoining as a standby: %w", err)
	}
	return p.inStep()
}

func (p *Pair) rejoin() error {
	if err := p.standby.Kill(); err != nil {
		return err
	}
	p.standby.Kind.engine.clear(p.standby)
	if err := os.RemoveAll(p.standby.Kind.engine.(postgresEngine).data(p.standby)); err != nil {
		return err
	}
	copyOf(p.primary)(&p.standby.config)
	if err := p.standby.initialize(); err != nil {
		return err
	}
	return p.standby.Restart()
}

// inStep makes replication synchronous and returns when it is.
func (p *Pair) inStep() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	// A promoted standby must not wait for a standby of its own; the setting came with the copy.
	if err := p.standby.Set("synchronous_standby_names", ""); err != nil {
		return fmt.Errorf("setting up the standby: %w", err)
	}
	err := p.primary.Set("synchronous_standby_names", "*")
	if err == nil {
		err = p.proveInStep(ctx)
	}
	if err != nil {
		return fmt.Errorf("setting up synchronous replication: %w", err)
	}
	return nil
}

// Settle returns when the standby has caught up, after either of the two was away for a while.
func (p *Pair) Settle(ctx context.Context) error {
	p.change.Lock()
	defer p.change.Unlock()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := p.streams(ctx); err != nil {
		return fmt.Errorf("waiting for the standby: %w", err)
	}
	return nil
}

// proveInStep holds the standby for a moment, and sees a commit wait for it. All that the primary shows of itself is what was asked for, which its
// processes have not heard of yet.
func (p *Pair) proveInStep(ctx context.Context) error {
	if err := p.streams(ctx); err != nil {
		return err
	}
	for {
		waits, err := p.commitWaits(ctx)
		if err != nil || waits {
			return err
		}
		if err := rest(ctx); err != nil {
			return err
		}
	}
}

// streams returns when the standby has caught up.
func (p *Pair) streams(ctx context.Context) error {
	primary, done, err := p.primary.open(p.primary.super, "")
	if err != nil {
		return err
	}
	defer done()
	for streams := false; !streams; {
		err := primary.QueryRowContext(ctx, `SELECT count(*) = 1 FROM pg_stat_replication
			WHERE state = 'streaming' AND sync_state = 'sync' AND flush_lsn >= pg_current_wal_flush_lsn()`).Scan(&streams)
		if err != nil {
			return err
		}
		if err := rest(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (p *Pair) commitWaits(ctx context.Context) (waits bool, err error) {
	primary, done, err := p.primary.open(p.primary.super, "")
	if err != nil {
		return false, err
	}
	defer done()
	if err := p.standby.Pause(); err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, p.standby.Resume()) }()
	const probe = "entsession probe"
	committed := make(chan error, 1)
	go func() {
		// A commit that changes nothing would not wait.
		committed <- p.primary.as(ctx, p.primary.super, "", `SET application_name = '`+probe+`'`,
			`SELECT pg_logical_emit_message(true, 'probe', '')`)
	}()
	for {
		select {
		case err := <-committed:
			return false, err
		default:
		}
		err := primary.QueryRowContext(ctx, `SELECT count(*) = 1 FROM pg_stat_activity
			WHERE application_name = $1 AND wait_event = 'SyncRep'`, probe).Scan(&waits)
		if err != nil {
			return false, err
		}
		if waits {
			if err := p.standby.Resume(); err != nil {
				return false, err
			}
			return true, <-committed
		}
		if err := rest(ctx); err != nil {
			return false, err
		}
	}
}

// rest waits a little before the next look at a server, which tells nobody what it becomes.
func rest(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(5 * time.Millisecond):
		return nil
	}
}

// Stop ends both for good and removes their data. It may be called again.
func (p *Pair) Stop() error {
	p.change.Lock()
	defer p.change.Unlock()
	var errs []error
	for _, s := range []*Server{p.standby, p.primary} {
		if s != nil {
			errs = append(errs, s.Stop())
		}
	}
	return errors.Join(errs...)
}

// Set changes a parameter of a running PostgreSQL, also across restarts, unless Setting has set it. It takes effect a moment later.
func (s *Server) Set(name, value string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := s.as(ctx, s.super, "", fmt.Sprintf(`ALTER SYSTEM SET %s = '%s'`, name, value), `SELECT pg_reload_conf()`)
	if err != nil {
		return fmt.Errorf("setting %s: %w", name, err)
	}
	return nil
}

// On is the same database on another server that has it too: a standby, a node of a cluster, what is behind a pooler.
func (d *DB) On(s *Server) *DB {
	other := *d
	other.Kind, other.Server, other.Host, other.Port, other.Socket = s.Kind, s, s.Host, s.Port, s.Socket
	return &other
}

// beside gives a server the databases and accounts of another.
func beside(s *Server) Option { return func(c *config) { c.beside = s } }

// copyOf makes a server begin as a standby of another.
func copyOf(s *Server) Option { return func(c *config) { c.copyOf = s } }

// baseBackup copies the data of a running primary and notes that the copy is its standby.
func (e postgresEngine) baseBackup(s, primary *Server) error {
	secret := fmt.Sprintf("%s:%d:*:%s:%s\n", primary.Host, primary.Port, primary.super.user, primary.super.password)
	passwords, err := s.dir.secretFile("pgpass", secret)
	if err != nil {
		return err
	}
	return s.dir.run([]string{
		filepath.Join(e.bin, "pg_basebackup"), "--pgdata", e.data(s), "--write-recovery-conf", "--checkpoint=fast", "--wal-method=stream", "--no-sync",
		"--dbname", fmt.Sprintf("host=%s port=%d user=%s passfile=%s", primary.Host, primary.Port, primary.super.user, passwords),
	})
}

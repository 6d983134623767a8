package torture

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/internal/dbtest"
)

func init() { targets["replica"] = NewReplica }

// replicaTarget is a PostgreSQL primary with a synchronous standby that takes over. Clients find the primary in two ways: of a list of both, and
// behind a proxy that moves.
type replicaTarget struct {
	pair  *dbtest.Pair
	db    *dbtest.DB
	moves []*Proxy // to wherever the primary is

	mu    sync.Mutex
	admin map[*dbtest.Server]*sql.DB
	alone bool // the primary has no standby
}

// NewReplica starts a pair of its own.
func NewReplica() (Target, error) {
	t := &replicaTarget{admin: map[*dbtest.Server]*sql.DB{}}
	var err error
	if t.pair, err = dbtest.StartPair(dbtest.Kinds(dbtest.Postgres)[0], dbtest.Durable()); err != nil {
		return nil, err
	}
	if err := t.prepare(); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

func (t *replicaTarget) prepare() (err error) {
	if t.db, err = t.pair.Primary().Create(); err != nil {
		return err
	}
	for range 2 {
		p, err := NewProxy(t.pair.Primary().Addr())
		if err != nil {
			return err
		}
		t.moves = append(t.moves, p)
	}
	for _, s := range []*dbtest.Server{t.pair.Primary(), t.pair.Standby()} {
		if t.admin[s], err = openAdmin(t.db.On(s)); err != nil {
			return err
		}
	}
	return nil
}

func (t *replicaTarget) Name() string   { return "replica" }
func (t *replicaTarget) Admin() *sql.DB { return t.admin[t.pair.Primary()] }

func (t *replicaTarget) Config(n int) entsession.Config {
	cfg := serverConfig(t.db)
	if n%2 == 0 {
		cfg.Hostname, cfg.Port = t.pair.Primary().Addr()+","+t.pair.Standby().Addr(), 0
		return cfg
	}
	p := t.moves[n/2%len(t.moves)]
	cfg.Hostname, cfg.Port = p.Host(), p.Port()
	return cfg
}

func (t *replicaTarget) Close() error {
	var errs []error
	for _, admin := range t.admin {
		errs = append(errs, admin.Close())
	}
	for _, p := range t.moves {
		errs = append(errs, p.Close())
	}
	return errors.Join(append(errs, t.pair.Stop())...)
}

func (t *replicaTarget) Faults() []Fault {
	return append([]Fault{
		{Name: "fail over", Weight: 6, Inject: t.failOver},
		{Name: "switch over", Weight: 2, Inject: t.switchOver},
		{Name: "misdirect", Weight: 2, Inject: t.misdirect},
		{Name: "read only", Weight: 2, Inject: t.readOnly},
		{Name: "kill primary", Weight: 1, Inject: t.killPrimary},
		{Name: "kill standby", Weight: 1, Inject: t.killStandby},
		{Name: "pause standby", Weight: 1, Inject: t.pauseStandby},
	}, NetworkFaults(t.moves...)...)
}

// together brings a standby back that was left behind, as someone does in time for the next fault. Nobody notices.
func (t *replicaTarget) together() error {
	if !t.alone {
		return nil
	}
	if err := t.pair.Rejoin(); err != nil {
		return err
	}
	t.alone = false
	return nil
}

// failOver kills the primary and lets the standby take over. It leaves a primary without a standby.
func (t *replicaTarget) failOver(ctx context.Context, rng *rand.Rand) error {
	return t.leave(ctx, rng, (*dbtest.Server).Kill)
}

// switchOver is failOver by a clean shutdown.
func (t *replicaTarget) switchOver(ctx context.Context, rng *rand.Rand) error {
	return t.leave(ctx, rng, (*dbtest.Server).Shutdown)
}

func (t *replicaTarget) leave(ctx context.Context, rng *rand.Rand, end func(*dbtest.Server) error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.together(); err != nil {
		return err
	}
	sleep(ctx, between(rng, 0, time.Second))
	if err := end(t.pair.Primary()); err != nil {
		return err
	}
	t.alone = true
	sleep(ctx, between(rng, 0, 1500*time.Millisecond))
	if err := t.pair.Promote(); err != nil {
		return err
	}
	t.move(t.pair.Primary())
	return nil
}

func (t *replicaTarget) move(s *dbtest.Server) {
	for _, p := range t.moves {
		p.Move(s.Addr())
		p.Reset()
	}
}

// misdirect sends clients to the standby for a while, as an address does that moves too early or too late.
func (t *replicaTarget) misdirect(ctx context.Context, rng *rand.Rand) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.together(); err != nil {
		return err
	}
	t.move(t.pair.Standby())
	sleep(ctx, between(rng, 200*time.Millisecond, 3*time.Second))
	// Connections to the standby are left as they are: they must not be kept.
	for _, p := range t.moves {
		p.Move(t.pair.Primary().Addr())
	}
	return nil
}

// readOnly has the primary refuse writes for a while.
func (t *replicaTarget) readOnly(ctx context.Context, rng *rand.Rand) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.pair.Primary().Set("default_transaction_read_only", "on"); err != nil {
		return err
	}
	sleep(ctx, between(rng, 200*time.Millisecond, 3*time.Second))
	return t.pair.Primary().Set("default_transaction_read_only", "off")
}

// killPrimary lets the primary come back as it was.
func (t *replicaTarget) killPrimary(ctx context.Context, rng *rand.Rand) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.pair.Primary().Kill(); err != nil {
		return err
	}
	sleep(ctx, between(rng, 0, time.Second))
	if err := t.pair.Primary().Restart(); err != nil || t.alone {
		return err
	}
	return t.pair.Settle(ctx)
}

// killStandby leaves the commits without the answer that they wait for.
func (t *replicaTarget) killStandby(ctx context.Context, rng *rand.Rand) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.together(); err != nil {
		return err
	}
	if err := t.pair.Standby().Kill(); err != nil {
		return err
	}
	sleep(ctx, between(rng, 0, StatementTimeout+2*time.Second))
	if err := t.pair.Standby().Restart(); err != nil {
		return err
	}
	return t.pair.Settle(ctx)
}

func (t *replicaTarget) pauseStandby(ctx context.Context, rng *rand.Rand) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.together(); err != nil {
		return err
	}
	if err := t.pair.Standby().Pause(); err != nil {
		return err
	}
	sleep(ctx, between(rng, 200*time.Millisecond, StatementTimeout+2*time.Second))
	if err := t.pair.Standby().Resume(); err != nil {
		return fmt.Errorf("resuming the standby: %w", err)
	}
	return t.pair.Settle(ctx)
}

package torture

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/internal/dbtest"
)

func init() { targets["galera"] = NewGalera }

// galeraTarget is a cluster of three MariaDB nodes. Each client works on one of them: two clients that change a session at the same time
// are told apart by the certification only. Every other client goes through a proxy.
type galeraTarget struct {
	cluster *dbtest.Galera
	db      *dbtest.DB
	proxies []*Proxy // one for each node
	admin   []*sql.DB
}

// NewGalera starts a cluster of its own.
func NewGalera() (Target, error) {
	t := &galeraTarget{}
	var err error
	if t.cluster, err = dbtest.StartGalera(dbtest.Durable()); err != nil {
		return nil, err
	}
	if err := t.prepare(); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

func (t *galeraTarget) prepare() (err error) {
	if t.db, err = t.cluster.Nodes[0].Create(); err != nil {
		return err
	}
	for _, node := range t.cluster.Nodes {
		p, err := NewProxy(node.Addr())
		if err != nil {
			return err
		}
		t.proxies = append(t.proxies, p)
		admin, err := openAdmin(t.db.On(node))
		if err != nil {
			return err
		}
		t.admin = append(t.admin, admin)
	}
	return nil
}

func (t *galeraTarget) Name() string { return "galera" }

// Admin is at the first node that runs.
func (t *galeraTarget) Admin() *sql.DB {
	for i, node := range t.cluster.Nodes {
		if node.Pid() != 0 {
			return t.admin[i]
		}
	}
	return t.admin[0]
}

func (t *galeraTarget) Config(n int) entsession.Config {
	node := n % len(t.cluster.Nodes)
	cfg := serverConfig(t.db.On(t.cluster.Nodes[node]))
	if n%2 == 0 {
		cfg.Hostname, cfg.Port = t.proxies[node].Host(), t.proxies[node].Port()
	}
	return cfg
}

func (t *galeraTarget) Close() error {
	var errs []error
	for _, admin := range t.admin {
		errs = append(errs, admin.Close())
	}
	for _, p := range t.proxies {
		errs = append(errs, p.Close())
	}
	return errors.Join(append(errs, t.cluster.Stop())...)
}

func (t *galeraTarget) Faults() []Fault {
	return append([]Fault{
		{Name: "kill node", Weight: 4, Inject: t.kill},
		{Name: "restart node", Weight: 2, Inject: t.restart},
		{Name: "cut off node", Weight: 4, Inject: t.cut},
		{Name: "pause node", Weight: 2, Inject: t.pause},
	}, NetworkFaults(t.proxies...)...)
}

func (t *galeraTarget) node(rng *rand.Rand) *dbtest.Server {
	return t.cluster.Nodes[rng.IntN(len(t.cluster.Nodes))]
}

func (t *galeraTarget) kill(ctx context.Context, rng *rand.Rand) error {
	node := t.node(rng)
	if err := node.Kill(); err != nil {
		return err
	}
	sleep(ctx, between(rng, 0, 3*time.Second))
	if err := node.Restart(); err != nil {
		return err
	}
	return t.cluster.Settle()
}

func (t *galeraTarget) restart(_ context.Context, rng *rand.Rand) error {
	if err := t.node(rng).Restart(); err != nil {
		return err
	}
	return t.cluster.Settle()
}

func (t *galeraTarget) cut(ctx context.Context, rng *rand.Rand) error {
	node := t.node(rng)
	if err := t.cluster.Cut(node); err != nil {
		return err
	}
	sleep(ctx, between(rng, 0, 2*time.Second))
	if err := t.cluster.Join(node); err != nil {
		return err
	}
	return t.cluster.Settle()
}

// pause is shorter or longer than the time after which the others go on without the node.
func (t *galeraTarget) pause(ctx context.Context, rng *rand.Rand) error {
	node := t.node(rng)
	if err := node.Pause(); err != nil {
		return err
	}
	sleep(ctx, between(rng, 100*time.Millisecond, 5*time.Second))
	if err := node.Resume(); err != nil {
		return err
	}
	sleep(ctx, findsOut) // until then the cluster looks settled
	return t.cluster.Settle()
}

// findsOut is how long a node that was paused may take to find out that the others have gone on without it.
const findsOut = 3 * time.Second

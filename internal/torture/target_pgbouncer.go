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

func init() { targets["pgbouncer"] = NewPgBouncer }

// pgbouncerTarget is a PostgreSQL behind a PgBouncer that pools per transaction. Half of the clients reach the pooler through proxies.
type pgbouncerTarget struct {
	serverTarget
	pooler *dbtest.Server
}

// NewPgBouncer starts a PostgreSQL and a PgBouncer of its own.
func NewPgBouncer() (Target, error) {
	t := &pgbouncerTarget{}
	t.kind = dbtest.Kinds(dbtest.Postgres)[0]
	var err error
	if t.server, err = dbtest.Start(t.kind, dbtest.Durable()); err != nil {
		return nil, err
	}
	if t.pooler, err = t.server.StartPgBouncer(dbtest.Setting("default_pool_size", "30")); err == nil {
		err = t.prepare()
	}
	if err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

func (t *pgbouncerTarget) prepare() (err error) {
	if t.db, err = t.server.Create(); err != nil {
		return err
	}
	for range 3 {
		p, err := NewProxy(t.pooler.Addr())
		if err != nil {
			return err
		}
		t.proxies = append(t.proxies, p)
	}
	t.admin, err = openAdmin(t.db)
	return err
}

func (t *pgbouncerTarget) Name() string   { return "pgbouncer" }
func (t *pgbouncerTarget) Admin() *sql.DB { return t.admin }

func (t *pgbouncerTarget) Config(n int) entsession.Config {
	cfg := t.serverTarget.Config(n)
	if n%2 != 0 {
		cfg.Port = t.pooler.Port
	}
	if !t.pooler.Prepares() {
		cfg.Params["default_query_exec_mode"] = "exec"
	}
	return cfg
}

// Connections has no answer: those at the server are the pooler's.
func (t *pgbouncerTarget) Connections(context.Context) (int, error) { return 0, nil }

func (t *pgbouncerTarget) Close() error {
	var err error
	if t.pooler != nil {
		err = t.pooler.Stop()
	}
	return errors.Join(err, t.serverTarget.Close())
}

func (t *pgbouncerTarget) Faults() []Fault {
	faults := append([]Fault{
		{Name: "kill pooler", Weight: 3, Inject: t.killPooler},
		{Name: "restart pooler", Weight: 3, Inject: func(context.Context, *rand.Rand) error { return t.pooler.Restart() }},
		{Name: "pause pooler", Weight: 2, Inject: t.pausePooler},
		// The pooler waits a second before it tries again what has failed, its server_login_retry.
		{Name: "kill server", Weight: 2, Settle: settle + time.Second, Inject: t.kill},
		{Name: "restart server", Weight: 2, Settle: settle + time.Second, Inject: func(context.Context, *rand.Rand) error { return t.server.Restart() }},
		{Name: "pause server", Weight: 1, Inject: t.pause},
		{Name: "terminate connections", Weight: 3, Inject: t.terminate},
		{Name: "lock rows", Weight: 1, Inject: t.lockRows},
	}, NetworkFaults(t.proxies...)...)
	for i, f := range faults {
		faults[i].Inject = func(ctx context.Context, rng *rand.Rand) error {
			return errors.Join(t.revive(ctx, rng), f.Inject(ctx, rng), t.revive(ctx, rng))
		}
	}
	return faults
}

// Ended implements [Mender]: PgBouncer 1.18 may end by itself when a statement is cancelled, see [dbtest.Server.PgBouncer].
func (t *pgbouncerTarget) Ended() (Fault, bool) {
	return Fault{Name: "pooler ended by itself", Inject: t.revive}, t.pooler.Pid() == 0
}

// revive starts the pooler again if it has ended by itself.
func (t *pgbouncerTarget) revive(context.Context, *rand.Rand) error {
	if t.pooler.Pid() != 0 {
		return nil
	}
	return t.pooler.Restart()
}

func (t *pgbouncerTarget) killPooler(ctx context.Context, rng *rand.Rand) error {
	if err := t.pooler.Kill(); err != nil {
		return err
	}
	sleep(ctx, between(rng, 0, 1500*time.Millisecond))
	return t.pooler.Restart()
}

func (t *pgbouncerTarget) pausePooler(ctx context.Context, rng *rand.Rand) error {
	if err := t.pooler.Pause(); err != nil {
		return err
	}
	sleep(ctx, between(rng, StatementTimeout, StatementTimeout+3*time.Second))
	return t.pooler.Resume()
}

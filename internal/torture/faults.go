package torture

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/entsession/entsession/internal/fault"
)

// ownFaults happen to the clients and the table, whatever the target is.
func (c *campaign) ownFaults() []Fault {
	faults := []Fault{
		{Name: "exhaust pool", Weight: 2, Inject: c.exhaust},
		{Name: "migrate", Weight: 2, Inject: c.migrate},
	}
	if c.Clients > 0 {
		faults = append(faults,
			Fault{Name: "kill client", Weight: 3, Inject: c.killClient},
			Fault{Name: "freeze client", Weight: 1, Inject: c.freezeClient})
	}
	return faults
}

func (c *campaign) apart(rng *rand.Rand) *seat { return c.seats[rng.IntN(c.Clients)] }

func (c *campaign) killClient(ctx context.Context, rng *rand.Rand) error {
	s := c.apart(rng)
	pause := between(rng, 0, time.Second)
	if err := s.kill(); err != nil {
		return err
	}
	sleep(ctx, pause)
	return s.start()
}

// freezeClient stops a client in the middle of whatever it does, with the locks that it holds.
func (c *campaign) freezeClient(ctx context.Context, rng *rand.Rand) error {
	process, _, _ := c.apart(rng).taken()
	if err := freeze(process.pid()); err != nil {
		return fmt.Errorf("stopping a client: %w", err)
	}
	sleep(ctx, between(rng, StatementTimeout/2, StatementTimeout+2*time.Second))
	if err := thaw(process.pid()); err != nil {
		return fmt.Errorf("continuing a client: %w", err)
	}
	return nil
}

// exhaust lets slow callers hold all connections of a client's pool.
func (c *campaign) exhaust(ctx context.Context, rng *rand.Rand) error {
	s := c.seats[rng.IntN(len(c.seats))]
	s.call(request{Op: opHog, Slow: between(rng, 200*time.Millisecond, StatementTimeout+2*time.Second), Limit: patience})
	return ctx.Err()
}

// schema is what migrations have made of the table.
type schema struct {
	dialect string
	columns []int
	next    int
}

// columnsKept is how many columns of migrations the table has at a time.
const columnsKept = 3

// migrate adds a column and an index while the stores work, and takes away old ones.
func (c *campaign) migrate(ctx context.Context, rng *rand.Rand) error {
	c.schema.next++
	n := c.schema.next
	statements := []string{
		fmt.Sprintf("ALTER TABLE sessions ADD COLUMN extra_%d bigint NULL", n),
		fmt.Sprintf("CREATE INDEX sessions_extra_%d ON sessions (extra_%d)", n, n),
	}
	if c.schema.columns = append(c.schema.columns, n); len(c.schema.columns) > columnsKept {
		old := c.schema.columns[0]
		c.schema.columns = c.schema.columns[1:]
		index := fmt.Sprintf("DROP INDEX sessions_extra_%d", old)
		if c.schema.dialect == "mysql" {
			index += " ON sessions"
		}
		statements = append(statements, index, fmt.Sprintf("ALTER TABLE sessions DROP COLUMN extra_%d", old))
	}
	for _, text := range statements {
		if err := c.alter(ctx, text); err != nil {
			return err
		}
		sleep(ctx, between(rng, 0, 500*time.Millisecond))
	}
	return nil
}

func (c *campaign) alter(ctx context.Context, text string) error {
	for n := 1; ; n++ {
		_, err := c.Target.Admin().ExecContext(ctx, text)
		if err == nil {
			return nil
		}
		if fault.Of(err) != fault.Contention || n == 20 {
			return fmt.Errorf("%s: %w", text, err)
		}
		sleep(ctx, 50*time.Millisecond)
	}
}

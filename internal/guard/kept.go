package guard

import (
	"context"

	"github.com/entsession/entsession/internal/fault"
	"github.com/entsession/entsession/internal/wire"
)

// maxKept is how many statements a connection keeps prepared: there is one for each size of a batch, which are few.
const maxKept = 64

// kept are the statements that a connection keeps prepared.
type kept struct {
	asked bool // whether it can
	can   bool
	uses  uint64
	all   map[string]*keptStmt
}

type keptStmt struct {
	wire.Prepared
	used uint64 // when it was last used, counted in uses
}

// Keeps implements wire.Keeper.
func (c *conn) Keeps(ctx context.Context) bool {
	if can := c.connector.options.Keeps; !c.kept.asked && can != nil && ctx.Err() == nil {
		yes, err := can(ctx, c.inner)
		if c.seen(err) != nil {
			return false
		}
		c.kept = kept{asked: true, can: yes, all: map[string]*keptStmt{}}
	}
	return c.kept.can
}

// Kept implements wire.Keeper.
func (c *conn) Kept(ctx context.Context, text string) (wire.Prepared, error) {
	k := &c.kept
	k.uses++
	if s := k.all[text]; s != nil {
		s.used = k.uses
		return s, nil
	}
	if !k.can {
		return nil, nil
	}
	prepared, err := c.PrepareContext(ctx, text)
	if err != nil {
		if fault.Code(err) == "" {
			return nil, err
		}
		k.can = false // there are too many, or something on the way has none: it will be told again as text, what is wrong with it too
		return nil, nil
	}
	s, ok := prepared.(wire.Prepared)
	if !ok {
		k.can = false
		return nil, prepared.Close()
	}
	if len(k.all) >= maxKept {
		c.Forget(k.oldest())
	}
	k.all[text] = &keptStmt{s, k.uses}
	return s, nil
}

// Forget implements wire.Keeper.
func (c *conn) Forget(text string) {
	if s := c.kept.all[text]; s != nil {
		delete(c.kept.all, text)
		_ = s.Close() // there is no answer, and a broken connection takes it along
	}
}

func (k *kept) oldest() (text string) {
	least := k.uses + 1
	for t, s := range k.all {
		if s.used < least {
			text, least = t, s.used
		}
	}
	return text
}

package guard

import (
	"context"

	"github.com/entsession/entsession/internal/fault"
	"github.com/entsession/entsession/internal/wire"
)

const (
	// maxKept is how many statements a connection keeps prepared: there is one for each size of a batch, which are few.
	maxKept = 64
	// maxUses is how often one is run before it is prepared anew: whatever a server may gather with each time does not grow without end.
	maxUses = 10_000
)

// Keeper is a driver's connection to a server on which statements may stay prepared.
type Keeper interface{ Keeps() bool }

// kept are the statements that a connection keeps prepared.
type kept struct {
	can bool
	all map[string]*keptStmt
}

type keptStmt struct {
	wire.Prepared
	uses int
}

// Keeps implements wire.Keeper.
func (c *conn) Keeps() bool { return c.kept.can && !c.connector.keepsNone.Load() }

// Kept implements wire.Keeper.
func (c *conn) Kept(ctx context.Context, text string) (wire.Prepared, error) {
	if !c.Keeps() {
		return nil, nil
	}
	k := &c.kept
	if s := k.all[text]; s != nil {
		if s.uses++; s.uses <= maxUses {
			return s, nil
		}
		c.Forget(text, nil)
	}
	if len(k.all) >= maxKept {
		return nil, nil
	}
	prepared, err := c.inner.PrepareContext(ctx, text)
	switch fault.Code(err) {
	case "error 1461": // no more of them on this server: these make room
		k.can = false
		for text := range k.all {
			c.Forget(text, nil)
		}
		return nil, nil
	case "error 1047", "error 1295": // what is on the way does not know the command, or not for this statement
		c.connector.keepsNone.Store(true)
		return nil, nil
	}
	if err != nil {
		return nil, c.seen(err) // it is not known whether there still is a transaction: nothing more is to be sent
	}
	inner, ok := prepared.(wire.Prepared)
	if !ok {
		k.can = false
		return nil, prepared.Close()
	}
	if k.all == nil {
		k.all = map[string]*keptStmt{}
	}
	s := &keptStmt{&stmt{Prepared: inner, conn: c, checker: c}, 1}
	k.all[text] = s
	return s, nil
}

// Forget implements wire.Keeper.
func (c *conn) Forget(text string, err error) {
	if s := c.kept.all[text]; s != nil {
		delete(c.kept.all, text)
		_ = s.Close() // there is no answer, and a broken connection takes it along
	}
	if fault.Code(err) == "error 1243" { // something on the way hands statements to other connections than those that prepared them
		c.connector.keepsNone.Store(true)
	}
}

package guard

import (
	"context"

	"github.com/entsession/entsession/internal/fault"
	"github.com/entsession/entsession/internal/wire"
)

// maxKept is how many statements a connection keeps prepared: there is one for each size of a batch, which are few.
const maxKept = 64

// Keeper is a driver's connection to a server on which statements may stay prepared.
type Keeper interface{ Keeps() bool }

// kept are the statements that a connection keeps prepared. They are there until it ends.
type kept struct {
	can bool
	all map[string]wire.Prepared
}

// Keeps implements wire.Keeper.
func (c *conn) Keeps() bool { return c.kept.can }

// Kept implements wire.Keeper.
func (c *conn) Kept(ctx context.Context, text string) (wire.Prepared, error) {
	k := &c.kept
	if s := k.all[text]; s != nil {
		return s, nil
	}
	if !k.can || len(k.all) >= maxKept {
		return nil, nil
	}
	prepared, err := c.PrepareContext(ctx, text)
	if err != nil {
		switch fault.Code(err) {
		case "error 1295", "error 1461": // not this one, or no more of them on this server: what can be sent as text all the same
			k.can = false
			return nil, nil
		}
		return nil, err // of any other it is not known whether there still is a transaction
	}
	s, ok := prepared.(wire.Prepared)
	if !ok {
		k.can = false
		return nil, prepared.Close()
	}
	if k.all == nil {
		k.all = map[string]wire.Prepared{}
	}
	k.all[text] = s
	return s, nil
}

// Forget implements wire.Keeper.
func (c *conn) Forget(text string) {
	if s := c.kept.all[text]; s != nil {
		delete(c.kept.all, text)
		_ = s.Close() // there is no answer, and a broken connection takes it along
	}
}

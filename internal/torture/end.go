package torture

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/entsession/entsession/internal/history"
	stored "github.com/entsession/entsession/internal/payload"
)

// lastLook looks at everything once all is over: nothing that was acknowledged is missing, nothing that ended is there, and the
// clients have nothing in use that they had not before.
func (c *campaign) lastLook() error {
	w := &worker{campaign: c, number: c.Workers + retirers, rng: newRand(c.Seed, 2)}
	for _, k := range c.world.kept {
		w.lookAgain(k)
	}
	if err := c.lookAtRows(); err != nil {
		return err
	}
	for _, s := range c.seats {
		c.compare(s, s.idle())
	}
	for _, s := range c.seats {
		left, err := s.close()
		if err != nil {
			return err
		}
		if s.apart && left.After > left.Before {
			c.violation("leak", c.at(), c.at(), "client %d: %d goroutines after Close, and there were %d before Open", s.number, left.After, left.Before)
		}
	}
	return c.lookAtConnections()
}

// lookAgain looks at a session that was left alone.
func (w *worker) lookAgain(k *keepsake) {
	for n := 0; n < 100; n++ {
		ev := &history.Event{Op: history.Load, Worker: w.number, Family: k.family}
		call := w.call(w.seat(), request{Op: history.Load, ID: k.ident.id, Limit: longLimit}, ev)
		switch ev.Outcome {
		case history.Done:
			if row := w.rowOf(call, call.Session, k.family); row != k.row {
				w.violation("durability", ev.Begin, ev.End, "session %d: was left alone as [%s], and is [%s]", k.family, k.row, row)
			}
			return
		case history.NotFound:
			w.violation("durability", ev.Begin, ev.End, "session %d: was left alone as [%s], and is gone", k.family, k.row)
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	w.violation("recovery", w.at(), w.at(), "session %d: can't be loaded in the end", k.family)
}

// lookAtRows looks at the table itself, past the stores.
func (c *campaign) lookAtRows() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	rows, err := c.Target.Admin().QueryContext(ctx, "SELECT data FROM sessions WHERE timeout > 1")
	if err != nil {
		return fmt.Errorf("the last look at the table: %w", err)
	}
	defer rows.Close()
	live := map[int]int{}
	for rows.Next() {
		var text sql.NullString
		if err := rows.Scan(&text); err != nil {
			return fmt.Errorf("the last look at the table: %w", err)
		}
		number, _, _, ok := parse(stored.Decode([]byte(text.String)))
		if !ok {
			c.violation("payload", c.at(), c.at(), "a live row holds a payload that nobody wrote: %.100q", text.String)
		}
		live[number]++
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("the last look at the table: %w", err)
	}
	for number, n := range live {
		switch was := c.world.past[number]; {
		case was == gone:
			c.violation("revocation", c.at(), c.at(), "session %d: was ended, and has %d live rows in the end", number, n)
		case was == 0:
			c.violation("payload", c.at(), c.at(), "session %d: has %d live rows in the end, and nobody knows it", number, n)
		case n > 1:
			c.violation("rotation", c.at(), c.at(), "session %d: has %d live rows in the end: Rotate copied it, and did not end the old one", number, n)
		}
	}
	return nil
}

// heapMore is by how much a client's memory may have grown: what drivers and pools keep for later.
const heapMore = 16 << 20

// idle is what a client has in use when what the store does by itself, a purge or the rest of a batch, has had the time to end.
func (s *seat) idle() (g Gauge) {
	for range 60 {
		a, _, _ := s.call(request{Op: opGauge})
		if g = a.Gauge; g.InUse == 0 {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	return g
}

// compare compares what a client has in use with what it had.
func (c *campaign) compare(s *seat, g Gauge) {
	at := c.at()
	if g.InUse > 0 {
		c.violation("leak", at, at, "client %d: %d connections are in use, and no call is under way", s.number, g.InUse)
	}
	if most := s.config().MaxOpenConns; g.Open > most {
		c.violation("leak", at, at, "client %d: %d connections are open, and MaxOpenConns is %d", s.number, g.Open, most)
	}
	if s.apart && s.first.Heap > 0 && g.Heap > s.first.Heap+heapMore {
		c.violation("leak", at, at, "client %d: %d bytes in use, and there were %d", s.number, g.Heap, s.first.Heap)
	}
	c.tally.gauge(s.first, g)
}

// connections is what a target may be able to count.
type connections interface {
	Connections(ctx context.Context) (int, error)
}

// lookAtConnections waits a moment for the server to notice that all clients have left.
func (c *campaign) lookAtConnections() error {
	t, ok := c.Target.(connections)
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for n := 0; ; n++ {
		left, err := t.Connections(ctx)
		if err != nil {
			return fmt.Errorf("counting connections: %w", err)
		}
		if left == 0 {
			return nil
		}
		if n == 100 {
			c.violation("leak", c.at(), c.at(), "%d connections are left at the server, and every store is closed", left)
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func newRand(seed, stream uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, stream)) }

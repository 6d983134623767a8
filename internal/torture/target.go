package torture

import (
	"context"
	"database/sql"
	"math/rand/v2"
	"time"

	"github.com/entsession/entsession"
)

// Target is what a campaign works on: where its clients connect, and what can happen to that. It is made empty; the campaign
// migrates it. Whoever makes it closes it.
//
// A campaign believes what is acknowledged: a commit that was answered must survive every fault of the target, and a read that
// begins after that must see it, through any client's address. A topology that promises less by default is to be set up so that it
// promises this (synchronous replication, wsrep_sync_wait), or its violations are its own.
type Target interface {
	// Name is for the reports, such as "postgres15" or "pgbouncer".
	Name() string
	// Config tells client number n (from 0 on) how to connect: Driver, Hostname, Port, Database, Username, Password, and
	// OnConnect and Params as far as the topology needs them. What sets how a store behaves, such as pool sizes and timeouts, the campaign
	// adds. It may be called again while the campaign runs, for a client that was killed: the answer may differ. Several
	// goroutines may ask.
	Config(n int) entsession.Config
	// Faults are what can happen to it. They are injected one at a time.
	Faults() []Fault
	// Admin is a handle for a look at the rows, and for changes of the schema, past every proxy, at the server that takes the writes
	// now. It is asked for before each use, and the target closes it. It need not work during a fault.
	Admin() *sql.DB
	// Close ends everything that the target started.
	Close() error
}

// Fault is one thing that goes wrong, for a while.
type Fault struct {
	// Name tells faults apart in reports and in Options.Faults; short, of words, such as "kill server".
	Name string
	// Weight is how often the fault is drawn, relative to the others. Zero is never, unless it is asked for by its name.
	Weight int
	// Settle is how long calls may go on failing after Inject has returned. Zero means two seconds.
	Settle time.Duration
	// Undoes says that the fault may undo a commit that nobody was told of and others have read already. MariaDB and MySQL show a commit before
	// its log is written, so that a crash does: in 11 of 25 on one busy table, with nothing but the driver. PostgreSQL does not.
	Undoes bool
	// Inject does it, and returns when it is over and the database can answer again. All that it draws, it draws from rng, so that the seed
	// repeats it. It should not last longer than ten seconds or so. When ctx ends it stops, and undoes what it did all the same.
	// An error ends the campaign: it means that the fault could not be injected or undone, not that something suffered from it.
	Inject func(ctx context.Context, rng *rand.Rand) error
}

// Mender is a Target with a part that may end by itself, by a mistake of its own that is known, and that an init system would start again.
type Mender interface {
	Target
	// Ended gives the fault whose Inject starts it again, if it has ended. It is asked between the other faults.
	Ended() (Fault, bool)
}

package torture

import (
	"time"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/internal/history"
)

// request is one call that a client is to make, or something that it is told.
type request struct {
	Seq    uint64
	Op     history.Op
	ID     string // Load, Update, Touch, Rotate, Delete
	Handle uint64 // Save: the object to save
	Life   int    // Save: of the client that holds it
	Data   []byte // Create, Save
	Write  int    // Update: the number of the write
	Cols   history.Columns
	// Subject is that of a List or a Revoke.
	Subject string
	// Limit is the deadline of the call's context, from its beginning on, and Cancel when it is cancelled. 0 is never.
	Limit, Cancel time.Duration
	// Slow is how long Update's function takes, and for how long a hog holds every connection of the pool.
	Slow time.Duration
}

// Operations that no history has.
const (
	opPurge history.Op = "purge"
	opHog   history.Op = "hog"   // a caller that keeps all connections to itself for a while
	opGauge history.Op = "gauge" // what the client has in use
	opClose history.Op = "close" // close the store, and tell what is left of it
)

// answer is what came of a request.
type answer struct {
	Seq        uint64
	Begin, End int64 // of the call, by now()
	// Class is "" for success, else what kind of error it was; see classify.
	Class string
	// Text is the error as it prints.
	Text string
	// Leak is set when the error named an id.
	Leak bool
	// Over is by how much the call outlived its context, Late the longest that a timer of the process came late meanwhile, and Starved how long
	// its threads waited for a processor, all together.
	Over, Late, Starved time.Duration

	Session seen // of Create, Load, Save, Update, Rotate
	Listed  []seen
	N       int // Revoke, Purge
	Gauge   Gauge
}

// seen is a session object that a call returned.
type seen struct {
	ID, Key string
	Handle  uint64 // the client keeps the object under this number for a while
	Data    []byte
	Subject string
	Seat    int64
	// Broken says why a column could not be read.
	Broken string
}

// Gauge is what a client process has in use.
type Gauge struct {
	Goroutines int    // while the store is open
	Heap       uint64 // bytes in use after a collection
	Open       int    // connections
	InUse      int    // of them, while no call is under way
	After      int    // goroutines after Close
	Before     int    // goroutines before Open
}

// setup is what a client process is told first.
type setup struct {
	Number, Life int
	Config       config
}

// config is the part of an entsession.Config that campaigns set, in a form that can be sent.
type config struct {
	Driver, Database, Username, Password, Hostname string
	Port                                           int
	Params                                         map[string]string
	OnConnect                                      []string
	TouchInterval, ConnectionCheckThreshold        time.Duration
	StatementTimeout, PurgeInterval, PurgeGrace    time.Duration
	MaxOpenConns                                   int
	DisableBatching                                bool
}

func sendable(c entsession.Config) config {
	return config{
		Driver: c.Driver, Database: c.Database, Username: c.Username, Password: c.Password, Hostname: c.Hostname, Port: c.Port,
		Params: c.Params, OnConnect: c.OnConnect, TouchInterval: c.TouchInterval, ConnectionCheckThreshold: c.ConnectionCheckThreshold,
		StatementTimeout: c.StatementTimeout, PurgeInterval: c.PurgeInterval, PurgeGrace: c.PurgeGrace,
		MaxOpenConns: c.MaxOpenConns, DisableBatching: c.DisableBatching,
	}
}

func (c config) store() entsession.Config {
	return entsession.Config{
		Driver: c.Driver, Database: c.Database, Username: c.Username, Password: c.Password, Hostname: c.Hostname, Port: c.Port,
		Params: c.Params, OnConnect: c.OnConnect, TouchInterval: c.TouchInterval, ConnectionCheckThreshold: c.ConnectionCheckThreshold,
		StatementTimeout: c.StatementTimeout, PurgeInterval: c.PurgeInterval, PurgeGrace: c.PurgeGrace,
		MaxOpenConns: c.MaxOpenConns, DisableBatching: c.DisableBatching,
		ExpirationTimeout: lifetime,
	}
}

// lifetime is that of the sessions: longer than a campaign, so that none expires by itself.
const lifetime = 24 * time.Hour

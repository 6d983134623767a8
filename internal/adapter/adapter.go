// Package adapter is what the adapters to session managers need of the store beyond its public methods: to write a session under an id, and
// with an expiry, that the manager decides. See put.go in the module's root for what it does.
//
// gorillastore is a module of its own and may be older or newer than the store it is built with: what is here may get more, and nothing in it may change
// or go.
package adapter

import (
	"context"
	"time"
)

// Write is a session as a manager wants it.
type Write struct {
	// ID under which the client is to find it; "": the store draws one.
	ID string
	// Data is the payload.
	Data []byte
	// Lifetime from now on, rounded up to whole seconds; within Config.MaxLifetime. Over already: the session is ended.
	Lifetime time.Duration
	// Default has it live as the store's own sessions do, instead of Lifetime.
	Default bool
	// Columns are extra columns, an []entsession.Column or nil. They win over those of Config.ColumnsFunc.
	Columns any
	// Known says that there was a session under this id: it is written if it is live still, and no row is made. Otherwise a row is made, and
	// none is overwritten.
	Known bool
	// Loaded is the session as it was loaded under this id, an *entsession.Session or nil. It implies Known.
	Loaded any
	// Guarded writes only over what was Loaded, or gives ErrConflict. Otherwise the last writer wins.
	Guarded bool
	// Same says that Data means what Loaded holds, be it other bytes.
	Same bool
}

// Result of a Write.
type Result struct {
	// Ended says that the session has ended, or did so in the meantime. Nothing was written.
	Ended bool
	// Session is the *entsession.Session as it was written; nil if it ended.
	Session any
}

// Put commits a Write to a *entsession.Store. The root package sets it.
var Put func(ctx context.Context, store any, w Write) (Result, error)

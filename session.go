package entsession

import (
	"database/sql"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Session is a session as it was when it was created, loaded or saved. Change Data, stage columns with Set, and Save it; or
// let Update do it all. It may be handed between goroutines; two that save it at once are served one after the other.
//
// Printing or logging a Session shows no id and no payload.
type Session struct {
	// Data is the payload. The store keeps what is in it at the moment of a Save, byte for byte.
	Data []byte

	ref     *ref
	timeout int64
	created int64
	version int64
	sum     uint64 // of the data as stored: tells whether it was changed
	null    bool   // the data is NULL
	stored  string // the data as stored, in a table without a version: its guard

	columns []string // the extra columns' names, shared by all sessions of a table
	values  []any
	staged  []Column

	mu sync.Mutex // held by Save
}

// ID is the secret that the client holds. It is "" for a session that List returned while ids are hashed: the store doesn't know it.
func (s *Session) ID() string {
	if s.ref == nil {
		return ""
	}
	return s.ref.id
}

// Key is what the id column holds: the SHA-256 of the ID in base64url, which opens nothing and may be shown, for
// instance in the form that signs out one of several devices (see Revoke). With Config.PlainIDs it is the ID itself, a secret.
func (s *Session) Key() string {
	if s.ref == nil {
		return ""
	}
	return s.ref.key
}

// Expires is the last second in which the session is live, unless it is renewed, by the database's clock.
func (s *Session) Expires() time.Time { return time.Unix(s.timeout, 0) }

// Created is the second in which the session was created, by the database's clock. A Rotate keeps it: a session's age is not
// that of the sign-in. It is the zero time in a table without the created column.
func (s *Session) Created() time.Time {
	if s.created == 0 {
		return time.Time{}
	}
	return time.Unix(s.created, 0)
}

// Column is an extra column and its value.
type Column struct {
	name  string
	value any
	every time.Duration // of SetCoarse
}

// Set names the value of an extra column, for Create, Save and Session.Set. The name is the column's, such as session.FieldSubject
// of the generated code; nil is NULL. Columns that are not named keep their value.
func Set(column string, value any) Column { return Column{name: column, value: value} }

// SetCoarse is Set for the time of something that happens with every request, such as "last seen", in whole seconds and UTC. It is for what Config.ColumnsFunc
// or an adapter's function gives: unless what the session was loaded with is older by at least the interval (or in the future by as much), it is left out, and so makes no write
// of its own more often than that. Where a call names it, it is written like any other. The column has to be one that holds a time.
func SetCoarse(column string, at time.Time, interval time.Duration) Column {
	return Column{name: column, value: at.UTC().Truncate(time.Second), every: interval}
}

// Name of the column.
func (c Column) Name() string { return c.name }

// Value of the column.
func (c Column) Value() any { return c.value }

// Set stages columns for the next Save of this session, or for the Save that ends an Update. Get shows them at once.
func (s *Session) Set(columns ...Column) {
	for _, c := range columns {
		s.staged = stage(s.staged, c)
	}
}

// Get returns the value of an extra column, as staged or else as loaded: nil, int64, float64, bool, string, []byte or
// time.Time. The second result tells whether the session has that column: one that was just created has those it was given.
func (s *Session) Get(column string) (any, bool) {
	for _, c := range s.staged {
		if c.name == column {
			return c.value, true
		}
	}
	if i := slices.Index(s.columns, column); i >= 0 && i < len(s.values) {
		return s.values[i], true
	}
	return nil, false
}

// Columns returns the loaded extra columns, in the table's order.
func (s *Session) Columns() []Column {
	out := make([]Column, 0, len(s.columns))
	for i, name := range s.columns {
		if i < len(s.values) {
			out = append(out, Set(name, s.values[i]))
		}
	}
	return out
}

// Get returns an extra column of a session as a T: any type that database/sql can scan into. NULL gives the zero T. A
// column that the session doesn't have, or a value that is no T, is a *ColumnError.
func Get[T any](s *Session, column string) (T, error) {
	var out sql.Null[T]
	v, ok := s.Get(column)
	if !ok {
		return out.V, &ColumnError{column, "the session has no such column"}
	}
	if t, ok := v.(T); ok {
		return t, nil
	}
	if err := out.Scan(v); err != nil {
		return out.V, &ColumnError{column, fmt.Sprintf("holds a %T, which is no %T", v, out.V)}
	}
	return out.V, nil
}

// stage adds a column, or replaces it: a statement can't set one twice.
func stage(staged []Column, c Column) []Column {
	for i := range staged {
		if staged[i].name == c.name {
			staged[i] = c
			return staged
		}
	}
	return append(staged, c)
}

// String shows neither the id nor the payload.
func (s *Session) String() string {
	if s == nil {
		return "session(nil)"
	}
	return fmt.Sprintf("session(%d bytes, expires %s)", len(s.Data), s.Expires().UTC().Format(time.RFC3339))
}

// Format shows what String shows, whatever the verb.
func (s *Session) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue shows neither the id nor the payload.
func (s *Session) LogValue() slog.Value {
	if s == nil {
		return slog.StringValue("nil")
	}
	return slog.GroupValue(slog.Int("bytes", len(s.Data)), slog.Time("expires", s.Expires()))
}

// MarshalJSON refuses: a Session belongs in the store, and its payload in no log.
func (s *Session) MarshalJSON() ([]byte, error) {
	return nil, fmt.Errorf("entsession: a Session is not to be marshalled: marshal its Data, or what you need of it")
}

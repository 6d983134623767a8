package entsession

import (
	"context"
	"time"

	"github.com/entsession/entsession/internal/migrator"
)

// Migrate brings the table up to date with the migrations embedded in this module, which are those in its migrations/
// directory: the `atlas` command may apply the same files to the same database, before or after. It is safe to call from any number of
// processes at once, and does nothing when nothing is pending. A table that something else made is an error that says how to
// adopt it.
//
// An application with an ent schema of its own on mixin.Session migrates that with its own directory, and doesn't call Migrate.
func (s *Store) Migrate(ctx context.Context) error {
	switch {
	case ctx == nil:
		return errNilContext
	case s.closed.Load():
		return ErrClosed
	}
	if !s.calls.TryRLock() {
		return ErrClosed
	}
	defer s.calls.RUnlock()
	_, err := migrator.Apply(ctx, s.migrations())
	s.forget(s.set.Load()) // look at the columns again
	return s.fail("migrate", err, nil)
}

// Migration is one of the embedded migrations.
type Migration struct {
	Version     string    // a UTC timestamp, such as 20260102150405
	Description string    // what the file's name says
	Applied     bool      // wholly
	AppliedAt   time.Time // zero if it was not
	// Problem is "altered" if the file differs from what was applied, which Migrate refuses, or "partial" if it was
	// interrupted, which Migrate goes on with.
	Problem string
}

// Migrations tells which of the embedded migrations the table has had.
func (s *Store) Migrations(ctx context.Context) ([]Migration, error) {
	switch {
	case ctx == nil:
		return nil, errNilContext
	case s.closed.Load():
		return nil, ErrClosed
	}
	if !s.calls.TryRLock() {
		return nil, ErrClosed
	}
	defer s.calls.RUnlock()
	files, err := migrator.Status(ctx, s.migrations())
	if err != nil {
		return nil, s.fail("read the state of the migrations", err, nil)
	}
	out := make([]Migration, 0, len(files))
	for _, f := range files {
		m := Migration{Version: f.Version, Description: f.Description, Applied: f.State == migrator.Applied, AppliedAt: f.AppliedAt}
		if f.State == migrator.Altered || f.State == migrator.Partial {
			m.Problem = f.State.String()
		}
		out = append(out, m)
	}
	return out, nil
}

func (s *Store) migrations() migrator.Target {
	return migrator.Target{Driver: s.drv, Schema: s.table.Schema, Table: s.table.Name}
}

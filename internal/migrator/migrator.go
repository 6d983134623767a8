// Package migrator applies the embedded migrations to a database, and tells which it has had.
//
// The files, their hashes and the history table are Atlas's, so that the atlas command and this package can take turns on the same
// database. What decides what is pending is our own: only revisions of our files count, in a table that an application may use for its
// own migrations too.
//
// Read this file first, then files.go (what there is to apply), history.go (what a database has had), transactional.go (PostgreSQL and
// SQLite) and mysql.go (which can't roll back), exists.go (a table that something else made), names.go (tables of other names).
package migrator

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"time"

	"entgo.io/ent/dialect"

	"github.com/entsession/entsession/internal/fault"
	"github.com/entsession/entsession/migrations"
)

// Target is the table to migrate.
type Target struct {
	// Driver reaches the database. One connection is used at a time.
	Driver dialect.Driver
	// Schema holds the table; it must exist. "" is the connection's own.
	Schema string
	// Table is the sessions table; "" is "sessions". Each one has a history of its own.
	Table string
	// Operator is recorded beside what is applied, such as "entsession v1.2.3". Defaults to "entsession".
	Operator string
	// Progress, if set, hears of each statement that is done, of how many the file has.
	Progress func(version string, stmt, total int)

	files fs.FS // the embedded ones, unless a test has its own
}

// Apply runs what is pending, in order, and returns the versions it has applied, also when a later one fails. It may run in any
// number of processes at once: one works, the others wait, as long as ctx allows, and so do the atlas command and Apply for each other.
// When it is interrupted, the next Apply goes on where it stopped.
//
// It refuses files that differ from their atlas.sum or from what was applied (ErrAltered), and a table that it did not make
// (*ExistsError).
func Apply(ctx context.Context, t Target) (applied []string, err error) {
	m, err := open(ctx, t)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err == nil {
			return
		}
		if end := ctx.Err(); end != nil && !errors.Is(err, end) { // drivers often only say that the connection is gone
			err = fmt.Errorf("%w: %w", end, err)
		}
		err = fmt.Errorf("migrating table %s: %w", m.names, err)
	}()
	var pause backoff
	for failures := 0; ; {
		version, done, err := m.advance(ctx)
		switch {
		case done:
			return applied, nil
		case err == nil && version != "":
			applied, failures = append(applied, version), 0
			pause.reset()
			continue
		case err == nil, errors.Is(err, errLocked), m.busy(err): // someone else is at work, or was faster
		case repeatable(err) && failures < maxFailures:
			failures++
		default:
			return applied, err
		}
		if err := pause.wait(ctx, err); err != nil {
			return applied, err
		}
	}
}

// maxFailures bounds how often a step that lost a race is repeated: then something else is wrong.
const maxFailures = 10

// migrator is one Target, its files and the SQL of its database.
type migrator struct {
	Target
	drv   dialect.Driver
	names names
	sql   queries
	files []file
	// unlocked is set once the database has said that it has no advisory locks.
	unlocked bool
}

func open(ctx context.Context, t Target) (*migrator, error) {
	if t.Driver == nil {
		return nil, errors.New("migrating: no driver is given")
	}
	d := t.Driver.Dialect()
	if t.files == nil {
		dir, err := migrations.Dir(d)
		if err != nil {
			return nil, fmt.Errorf("migrating: %w", err)
		}
		t.files = dir
	}
	if t.Operator == "" {
		t.Operator = "entsession"
	}
	n, err := newNames(d, t.Schema, t.Table)
	if err != nil {
		return nil, fmt.Errorf("migrating: %w", err)
	}
	files, err := readFiles(d, t.files)
	if err != nil {
		return nil, fmt.Errorf("migrating: reading the embedded files: %w", err)
	}
	m := &migrator{Target: t, drv: t.Driver, names: n, sql: queriesFor(d), files: files}
	if err := m.checkSchema(ctx, m.drv); err != nil {
		return nil, fmt.Errorf("migrating table %s: %w", n, err)
	}
	return m, nil
}

// advance applies the next file, and returns its version, or "" when someone else was faster. Mostly there is nothing to do, which it
// finds without a lock and without the right to write.
func (m *migrator) advance(ctx context.Context) (version string, done bool, err error) {
	h, err := m.history(ctx, m.drv)
	if err != nil {
		return "", false, err
	}
	p, err := m.next(h)
	if err != nil || p == nil {
		return "", err == nil, err
	}
	version, err = m.step(ctx, h)
	return version, false, err
}

// step takes the lock, looks again, and applies what is next then. seen is what the history was before.
func (m *migrator) step(ctx context.Context, seen history) (version string, err error) {
	if m.drv.Dialect() == dialect.MySQL {
		return m.stepMySQL(ctx)
	}
	return m.stepInTransaction(ctx, seen)
}

// busy tells whether another connection has locked the SQLite file.
func (m *migrator) busy(err error) bool {
	return m.names.dialect == dialect.SQLite && fault.Of(err) == fault.Contention
}

func (m *migrator) progress(version string, stmt, total int) {
	if m.Progress != nil {
		m.Progress(version, stmt, total)
	}
}

// backoff waits longer each time, and never as long as another process that began to wait at the same moment.
type backoff struct{ d time.Duration }

const (
	firstPause = 10 * time.Millisecond
	maxPause   = time.Second
)

func (b *backoff) reset() { b.d = 0 }

// wait returns an error when ctx ends, which names what was waited for.
func (b *backoff) wait(ctx context.Context, why error) error {
	b.d = min(max(2*b.d, firstPause), maxPause)
	timer := time.NewTimer(b.d/2 + rand.N(b.d/2))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		if why == nil {
			return ctx.Err()
		}
		return fmt.Errorf("%w while waiting: %w", ctx.Err(), why)
	}
}

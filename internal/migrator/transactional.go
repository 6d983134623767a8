package migrator

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
)

// lockName is the atlas command's own, so that it and we exclude each other.
const lockName = "atlas_migrate_execute"

// postgresLock is the key that the atlas command makes of the name.
func postgresLock() int64 {
	h := fnv.New32()
	h.Write([]byte(lockName))
	return int64(h.Sum32())
}

// stepInTransaction applies one file and its revision, or nothing.
func (m *migrator) stepInTransaction(ctx context.Context, seen history) (version string, err error) {
	tx, err := m.drv.Tx(ctx)
	if err != nil {
		return "", fmt.Errorf("opening a transaction: %w", err)
	}
	open := true
	defer func() {
		if open {
			// Whatever it says, what failed is the reason. The transaction dies with its connection, too.
			_ = tx.Rollback()
		}
	}()
	if err := m.lock(ctx, tx, seen); err != nil {
		return "", err
	}
	h, err := m.history(ctx, tx)
	if err != nil {
		return "", err
	}
	if m.names.dialect == dialect.SQLite && h.table != seen.table { // the lock has made the other one
		return "", raceError{errLocked}
	}
	p, err := m.next(h)
	if err != nil || p == nil {
		return "", err
	}
	before := h
	before.exists = seen.exists // for SQLite's lock has made it
	if err := m.prepare(ctx, tx, before, p); err != nil {
		var exists *ExistsError
		if m.unlocked && errors.As(err, &exists) {
			return "", raceError{err} // maybe made since the history was read
		}
		return "", err
	}
	if !h.exists {
		if err := m.createHistory(ctx, tx, h.table); err != nil {
			return "", err
		}
	}
	start := time.Now()
	r := p.begin()
	for r.applied < len(p.stmts) {
		if err := m.run(ctx, tx, p, r.applied); err != nil {
			return "", err
		}
		r.count(p)
		m.progress(p.version, r.applied, len(p.stmts))
	}
	if err := m.write(ctx, tx, h.table, r, time.Since(start), "", p.done == nil); err != nil {
		return "", err
	}
	open = false
	if err := tx.Commit(); err != nil {
		return "", fmt.Errorf("committing version %s: %w", p.version, err)
	}
	return p.version, nil
}

// run executes statement i of a file.
func (m *migrator) run(ctx context.Context, q dialect.ExecQuerier, p *pending, i int) error {
	stmt := m.names.rewrite(p.stmts[i])
	if err := q.Exec(ctx, stmt, []any{}, nil); err != nil {
		return fmt.Errorf("applying %s, statement %d of %d, %s: %w", p.name, i+1, len(p.stmts), stmt, err)
	}
	return nil
}

// lock makes the transaction the only one that migrates, or returns an error that is worth waiting for.
func (m *migrator) lock(ctx context.Context, tx dialect.Tx, seen history) error {
	if m.names.dialect == dialect.SQLite {
		return m.lockSQLite(ctx, tx, seen)
	}
	if m.unlocked {
		return nil
	}
	// Trying again and again, as the atlas command does: one that waits in a transaction would stop the one it waits for, if that
	// creates an index concurrently.
	var got bool
	err := each(ctx, tx, fmt.Sprintf("SELECT pg_try_advisory_xact_lock(%d)", postgresLock()), nil, func(rows *entsql.Rows) error {
		return rows.Scan(&got)
	})
	switch {
	case noAdvisoryLocks(err):
		// Then the first one to make a table or to record a revision wins, and the others begin again.
		m.unlocked = true
		return raceError{err}
	case err != nil:
		return fmt.Errorf("locking: %w", err)
	case !got:
		return errLocked
	}
	return nil
}

// lockSQLite begins with a write, which takes SQLite's one write lock. A transaction that has read first would fail when another one has
// written since.
func (m *migrator) lockSQLite(ctx context.Context, tx dialect.Tx, seen history) error {
	if seen.exists {
		write := fmt.Sprintf("UPDATE %s SET version = version WHERE 0", m.names.qualify(seen.table))
		if err := tx.Exec(ctx, write, []any{}, nil); err != nil {
			return fmt.Errorf("locking: %w", err)
		}
		return nil
	}
	err := m.createHistory(ctx, tx, seen.table)
	if err != nil && !m.busy(err) && ctx.Err() == nil {
		return raceError{err} // SQLite has no code for a table that exists
	}
	return err
}

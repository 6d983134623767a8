package migrator

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
)

// MySQL commits at each statement that changes a table. So the revision is recorded before the first one and counted up after each,
// as the atlas command does, and the next Apply goes on from there.

const (
	// lockSlice is how long one statement waits for the lock, in seconds.
	lockSlice = 1
	// unlockTimeout bounds the release of the lock, which a cancelled context must not prevent.
	unlockTimeout = 5 * time.Second
)

func (m *migrator) stepMySQL(ctx context.Context) (version string, err error) {
	tx, err := pin(ctx, m.drv)
	if err != nil {
		return "", fmt.Errorf("taking a connection: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // gives the connection back; there is nothing to roll back
	// From here on each statement stands alone.
	if err := tx.Exec(ctx, "COMMIT", []any{}, nil); err != nil {
		return "", fmt.Errorf("beginning: %w", err)
	}
	if err := lockMySQL(ctx, tx); err != nil {
		return "", err
	}
	defer unlockMySQL(ctx, tx)

	h, err := m.history(ctx, tx)
	if err != nil {
		return "", err
	}
	p, err := m.next(h)
	if err != nil || p == nil {
		return "", err
	}
	if err := m.prepare(ctx, tx, h, p); err != nil {
		return "", err
	}
	if !h.exists {
		if err := m.createHistory(ctx, tx, h.table); err != nil {
			return "", err
		}
	}
	if err := m.applyMySQL(ctx, tx, h.table, p); err != nil {
		return "", err
	}
	return p.version, nil
}

func (m *migrator) applyMySQL(ctx context.Context, tx dialect.Tx, table string, p *pending) error {
	start := time.Now()
	r := p.begin()
	record := func(failed string, isNew bool) error {
		if err := m.write(ctx, tx, table, r, time.Since(start), failed, isNew); err != nil {
			return err
		}
		return tx.Exec(ctx, "COMMIT", []any{}, nil) // for sessions without autocommit
	}
	if err := record("", p.done == nil); err != nil {
		return err
	}
	resumed := p.done != nil
	for r.applied < len(p.stmts) {
		err := m.run(ctx, tx, p, r.applied)
		// The attempt before may have been killed between this statement and its record.
		if err != nil && !(resumed && alreadyDone(err)) {
			if ctx.Err() != nil {
				return err // the connection is gone
			}
			r.failure = err.Error()
			return errors.Join(err, record(p.stmts[r.applied], false))
		}
		resumed = false
		r.count(p)
		if err := record("", false); err != nil {
			return err
		}
		m.progress(p.version, r.applied, len(p.stmts))
	}
	return nil
}

// pin takes one connection of the pool. Waiting for it obeys ctx. Afterwards the end of ctx does not take it away: it would go back to the
// pool with the lock still held.
func pin(ctx context.Context, drv dialect.Driver) (dialect.Tx, error) {
	detached, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, cancel)
	tx, err := drv.Tx(detached)
	if !stop() { // ctx has ended
		if err == nil {
			_ = tx.Rollback()
		}
		cancel()
		return nil, ctx.Err()
	}
	if err != nil {
		cancel()
		return nil, err
	}
	return &pinned{tx, cancel}, nil
}

type pinned struct {
	dialect.Tx
	release context.CancelFunc
}

func (p *pinned) Rollback() error {
	defer p.release()
	return p.Tx.Rollback()
}

// lockMySQL waits for the lock that the atlas command takes, too. It belongs to the connection, and ends with it.
func lockMySQL(ctx context.Context, tx dialect.Tx) error {
	for {
		var got sql.NullInt64
		err := each(ctx, tx, "SELECT GET_LOCK(?, ?)", []any{lockName, lockSlice}, func(rows *entsql.Rows) error {
			return rows.Scan(&got)
		})
		switch {
		case err != nil:
			return fmt.Errorf("waiting for the lock: %w", err)
		case !got.Valid:
			return errors.New("waiting for the lock: the server failed to say who has it")
		case got.Int64 == 1:
			return nil
		}
	}
}

// unlockMySQL needs no answer: when it fails the connection is dead, and the lock with it.
func unlockMySQL(ctx context.Context, tx dialect.Tx) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), unlockTimeout)
	defer cancel()
	_ = each(ctx, tx, "SELECT RELEASE_LOCK(?)", []any{lockName}, func(*entsql.Rows) error { return nil })
}

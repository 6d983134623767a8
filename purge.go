package entsession

import (
	"cmp"
	"context"
	"errors"
	"hash/fnv"
	"log/slog"
	"slices"
	"sync"
	"time"

	"entgo.io/ent/dialect"

	"github.com/entsession/entsession/internal/fault"
	"github.com/entsession/entsession/internal/stmt"
	"github.com/entsession/entsession/internal/wire"
)

// purgeBudget is how long one automatic purge works at most. What is left waits for the next draw, which need not wait for the
// interval then.
const purgeBudget = 2 * time.Second

// purger is the state of the one automatic purge that a store runs at a time.
type purger struct {
	mu       sync.Mutex
	running  bool
	next     time.Time // no automatic purge before
	lockless bool      // the database has no advisory locks
	stats    PurgeStats
}

// drawPurge wakes the purge with the configured probability, and never waits for it.
func (s *Store) drawPurge() {
	if s.cfg.DisableAutopurge || s.cfg.AutopurgeProbability == 0 || s.cfg.Rand() >= s.cfg.AutopurgeProbability {
		return
	}
	p := &s.purger
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running || s.closed.Load() || time.Now().Before(p.next) {
		return
	}
	p.running = true
	s.tasks.Go(s.autopurge)
}

func (s *Store) autopurge() {
	ctx, cancel := context.WithTimeout(s.life, purgeBudget)
	defer cancel()
	spent, err := s.purgeWithin(ctx)
	if err != nil && s.life.Err() == nil {
		s.notices.purgeFailed(s, err)
	}
	p := &s.purger
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running = false
	p.next = time.Now()
	if !spent {
		p.next = p.next.Add(s.cfg.PurgeInterval)
	}
}

// purgeWithin purges until its time is spent.
func (s *Store) purgeWithin(ctx context.Context) (spent bool, err error) {
	ctx, c := s.observe(ctx, "purge", &err)
	defer c.done(&err)
	_, err = s.purge(ctx, false)
	if errors.Is(err, context.DeadlineExceeded) && s.life.Err() == nil && ctx.Err() != nil {
		spent, err = true, nil
	}
	s.purger.ended(err)
	return spent, s.fail("purge", err, nil)
}

func (p *purger) ended(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stats.Runs++
	if err != nil {
		p.stats.Failed++
	} else {
		p.stats.Last = time.Now()
	}
}

// Purge deletes this application's expired sessions, and the rows of revoked ones whose Config.PurgeGrace is over, in small
// transactions of Config.PurgeBatch rows, and returns how many rows went. A live session is never deleted. It takes turns with
// another process that is purging. It works whatever Config.DisableAutopurge says. After an error the batches before it
// stay deleted, and are counted. Each batch is reported to Config.Logger at debug level.
func (s *Store) Purge(ctx context.Context) (n int, err error) {
	ctx, c := s.observe(ctx, "purge", &err)
	defer c.done(&err)
	switch {
	case ctx == nil:
		return 0, errNilContext
	case s.closed.Load():
		return 0, ErrClosed
	}
	n, err = s.purge(ctx, true)
	s.purger.ended(err)
	return n, s.fail("purge", err, nil)
}

var errBusy = errors.New("another purge is under way")

func (s *Store) purge(ctx context.Context, patient bool) (total int, err error) {
	for waits := 0; ; {
		if err := ctx.Err(); err != nil {
			return total, err
		}
		n, more, err := s.purgeBatch(ctx)
		total += n
		switch {
		case errors.Is(err, errBusy) && patient:
			if waits++; !s.pause(ctx, min(waits, maxAttempts)) {
				return total, errors.Join(ctx.Err(), s.life.Err())
			}
			continue
		case errors.Is(err, errBusy):
			return total, nil
		case err != nil:
			return total, err
		}
		waits = 0
		if n > 0 {
			s.purger.mu.Lock()
			s.purger.stats.Rows += uint64(n)
			s.purger.mu.Unlock()
			s.log(slog.LevelDebug, "purged", "purged a batch", slog.Int("deleted", n), slog.Int("total", total))
		}
		if !more {
			return total, nil
		}
	}
}

// purgeEnd is how long the end of a purge's transaction may take once its context has ended.
const purgeEnd = 2 * time.Second

// purgeBatch purges some rows. On MySQL the end of its transaction takes statements that the caller's context does not bound, see beginPurge: when
// that ends, the caller leaves, and they go on.
func (s *Store) purgeBatch(ctx context.Context) (n int, more bool, err error) {
	if s.table.Dialect != dialect.MySQL {
		return s.purgeSome(ctx)
	}
	type result struct {
		n    int
		more bool
		err  error
	}
	done := make(chan result, 1)
	s.purger.mu.Lock() // as in drawPurge: Close waits for tasks that began before it
	if s.closed.Load() {
		s.purger.mu.Unlock()
		return 0, false, ErrClosed
	}
	s.tasks.Go(func() {
		n, more, err := s.purgeSome(ctx)
		done <- result{n, more, err}
	})
	s.purger.mu.Unlock()
	select {
	case r := <-done:
		return r.n, r.more, r.err
	case <-ctx.Done():
		return 0, false, ctx.Err()
	}
}

// purgeSome finds expired rows and deletes those that are expired still: two statements keyed by id, which every database takes,
// sharded ones too.
func (s *Store) purgeSome(ctx context.Context) (n int, more bool, err error) {
	err = s.try(ctx, func(ctx context.Context, set *stmt.Set, _ attempt) error {
		n, more = 0, false
		var tell told
		err := s.inTxOf(ctx, s.beginPurge, func(tx wire.Querier) error {
			unlock, err := s.lockPurge(ctx, tx)
			if err != nil {
				return err
			}
			defer unlock()
			if s.event(EventExpire, "") != nil {
				n, more, tell, err = s.purgeTelling(ctx, tx, set)
				return err
			}
			keys, err := expiredKeys(ctx, tx, set, s.cfg)
			if err != nil || len(keys) == 0 {
				return err
			}
			text, args := set.Purge(keys)
			deleted, err := exec(ctx, tx, text, args)
			n, more = int(deleted), len(keys) == s.cfg.PurgeBatch
			return err
		})
		if err == nil && tell.any() {
			tell.happened(s)
		}
		return err
	})
	if err != nil {
		return 0, false, err
	}
	return n, more, nil
}

// beginPurge begins a transaction that, on MySQL, outlives its context until it is ended. When a transaction's own context ends between two
// statements, sql.DB rolls back and puts the connection into the pool with the purge's lock still held.
func (s *Store) beginPurge(ctx context.Context) (dialect.Tx, error) {
	if s.table.Dialect != dialect.MySQL {
		return s.drv.Tx(ctx)
	}
	detached, cancel := context.WithCancel(context.WithoutCancel(ctx))
	obey := context.AfterFunc(ctx, cancel) // to wait for a connection
	tx, err := s.drv.Tx(detached)
	if !obey() || err != nil {
		cancel()
		if err == nil {
			_ = tx.Rollback() // nothing was done in it
		}
		return nil, cmp.Or(ctx.Err(), err) // not that of the detached one
	}
	// A server that answers no more must not keep the purge, and Close, for good. The connection then goes, and the lock with it.
	context.AfterFunc(ctx, func() { time.AfterFunc(purgeEnd, cancel) })
	return tx, nil
}

func expiredKeys(ctx context.Context, tx wire.Querier, set *stmt.Set, cfg Config) (keys []string, err error) {
	text, args := set.Expired(cfg.Application, cfg.PurgeBatch)
	err = tx.Query(ctx, text, args, func(row wire.Row) error {
		keys = append(keys, row.Key(0))
		return nil
	})
	return keys, err
}

// lockPurge keeps to one purger at a time in a database, or gives errBusy. It is a courtesy and not needed for correctness, so a
// database that has no such lock goes without. SQLite has one writer anyway.
func (s *Store) lockPurge(ctx context.Context, tx wire.Querier) (unlock func(), err error) {
	unlock = func() {}
	p := &s.purger
	p.mu.Lock()
	lockless := p.lockless
	p.mu.Unlock()
	if lockless || s.table.Dialect == dialect.SQLite {
		return unlock, nil
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte("entsession purge " + s.table.String()))
	var got int64
	switch s.table.Dialect {
	case dialect.Postgres:
		// Released with the transaction.
		got, err = queryInt(ctx, tx, "SELECT CASE WHEN pg_try_advisory_xact_lock($1) THEN 1 ELSE 0 END", []any{int64(h.Sum64())})
	case dialect.MySQL:
		// The name is the server's, not the database's. At most 64 characters.
		name := "CONCAT('entsession ', CONV(?, 10, 36), ' ', LEFT(SHA1(DATABASE()), 16))"
		args := []any{h.Sum64() >> 1}
		got, err = queryInt(ctx, tx, "SELECT COALESCE(GET_LOCK("+name+", 0), 0)", args)
		unlock = func() {
			// Detached: a cancelled purge must not leave the lock on a pooled connection.
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), purgeEnd)
			defer cancel()
			_, _ = queryInt(ctx, tx, "SELECT RELEASE_LOCK("+name+")", args)
		}
	}
	switch {
	case err != nil && fault.Of(err) == fault.Other && noLocks(err):
		p.mu.Lock()
		p.lockless = true
		p.mu.Unlock()
		s.log(slog.LevelInfo, "purge_lockless", "no advisory locks here: purging without", slog.Any("error", err))
		return nil, errBusy // the failed statement may have spoilt the transaction: again, without
	case err != nil:
		return nil, err
	case got != 1:
		return nil, errBusy
	}
	return unlock, nil
}

// noLocks tells whether a database says that it has no such locks, or none for us. Whatever else may be wrong is wrong for now.
func noLocks(err error) bool {
	return slices.Contains([]string{
		"SQLSTATE 0A000", // feature_not_supported
		"SQLSTATE 42883", // undefined_function
		"SQLSTATE 42501", // insufficient_privilege
		"error 1105",     // ER_UNKNOWN_ERROR: Percona XtraDB Cluster in its strict mode "prohibits use of GET_LOCK"
		"error 1235",     // ER_NOT_SUPPORTED_YET: Galera of MariaDB
		"error 1305",     // ER_SP_DOES_NOT_EXIST: no such function
	}, fault.Code(err))
}

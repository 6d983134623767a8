package entsession

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	entsql "entgo.io/ent/dialect/sql"

	"github.com/entsession/entsession/internal/stmt"
	"github.com/entsession/entsession/internal/wire"
)

// What bounds Revoke: both must be over. Two passes are enough unless a session is rotated again in between, each rotation after a request of its
// own. The time lets the second end in which the call began, see Revoke.
const (
	maxPasses     = 20
	maxPassesTime = 2 * time.Second
)

// page is how many sessions List reads at a time: at the default payload limit that many fit into memory anywhere.
const page = 100

// List goes through the live sessions of this application that match every predicate: ent's own, such as session.Subject("42"), or
// any func(*sql.Selector). It reads page by page and holds no connection while the loop's body runs, so the body may call
// the store. A session that ends or stops matching meanwhile may be left out. The order is that of the ids, which
// is to say none. An error ends the loop, with a nil session.
//
// While ids are hashed, a listed session has a Key but no ID: it can be saved, and revoked by its key, but not taken over.
func (s *Store) List(ctx context.Context, where ...func(*entsql.Selector)) iter.Seq2[*Session, error] {
	return func(yield func(*Session, error) bool) {
		var err error
		ctx, c := s.observe(ctx, "list", &err)
		defer c.done(&err)
		yield = c.without(yield)
		fail := func() {
			err = s.fail("list", err, nil)
			yield(nil, err)
		}
		if err = s.begin(ctx); err != nil {
			fail()
			return
		}
		if len(where) == 0 {
			err = s.listAll(ctx, yield)
		} else {
			err = s.listSome(ctx, where, yield)
		}
		if errors.Is(err, errStopped) {
			err = nil
		}
		if err != nil {
			fail()
		}
	}
}

var errStopped = errors.New("the loop ended")

// listAll walks the primary key.
func (s *Store) listAll(ctx context.Context, yield func(*Session, error) bool) error {
	for after := ""; ; {
		batch, err := s.rows(ctx, func(set *stmt.Set) (string, []any, error) { return set.Page(s.cfg.Application, after, page) })
		if err != nil {
			return err
		}
		for _, sess := range batch {
			if !yield(sess, nil) {
				return errStopped
			}
		}
		if len(batch) < page {
			return nil
		}
		after = batch[len(batch)-1].ref.key
	}
}

// listSome finds the keys first: a limit and an order together with a predicate can lead a planner away from the predicate's index.
func (s *Store) listSome(ctx context.Context, where []func(*entsql.Selector), yield func(*Session, error) bool) error {
	var keys []string
	err := s.query(ctx, func(set *stmt.Set) (string, []any, error) { return set.Keys(s.cfg.Application, where) },
		func() { keys = keys[:0] },
		func(_ *stmt.Set, row wire.Row) error {
			keys = append(keys, row.Key(0)) // PostgreSQL pads char(72)
			return nil
		})
	if err != nil {
		return err
	}
	for len(keys) > 0 {
		some := keys[:min(page, len(keys))]
		keys = keys[len(some):]
		batch, err := s.rows(ctx, func(set *stmt.Set) (string, []any, error) { return set.ByKey(s.cfg.Application, some, where) })
		if err != nil {
			return err
		}
		for _, sess := range batch {
			if !yield(sess, nil) {
				return errStopped
			}
		}
	}
	return nil
}

// rows reads sessions.
func (s *Store) rows(ctx context.Context, render func(*stmt.Set) (string, []any, error)) ([]*Session, error) {
	var out []*Session
	err := s.query(ctx, render, func() { out = nil }, func(set *stmt.Set, row wire.Row) error {
		sess := &Session{ref: &ref{key: row.Key(0)}}
		if err := sess.fill(set, row.From(1)); err != nil {
			return err
		}
		if s.cfg.PlainIDs {
			sess.ref.id = sess.ref.key
		}
		out = append(out, sess)
		return nil
	})
	return out, err
}

// query runs a statement and hands its rows to scan. reset is called before each attempt.
func (s *Store) query(ctx context.Context, render func(*stmt.Set) (string, []any, error), reset func(), scan func(*stmt.Set, wire.Row) error) error {
	return s.try(ctx, func(ctx context.Context, set *stmt.Set, _ attempt) error {
		reset()
		text, args, err := render(set)
		if err != nil {
			return err
		}
		return s.db.Query(ctx, text, args, func(row wire.Row) error { return scan(set, row) })
	})
}

// Count returns how many live sessions of this application match every predicate; without a predicate, how many there are. It is one
// statement, and counts a session once that is rotated meanwhile.
func (s *Store) Count(ctx context.Context, where ...func(*entsql.Selector)) (n int, err error) {
	ctx, c := s.observe(ctx, "count", &err)
	defer c.done(&err)
	if err := s.begin(ctx); err != nil {
		return 0, s.fail("count", err, nil)
	}
	err = s.query(ctx, func(set *stmt.Set) (string, []any, error) { return set.Count(s.cfg.Application, where) },
		func() {},
		func(_ *stmt.Set, row wire.Row) error {
			count, err := row.Int(0)
			n = int(count)
			return err
		})
	return n, s.fail("count", err, nil)
}

// Revoke ends every live session of this application that matches every predicate, as Delete does, and returns how many there
// were. Without a predicate it ends them all. For one of a user's devices, name the user and the key that List
// gave: Revoke(ctx, session.Subject("42"), session.ID(key)). Sessions that are created while it runs are new ones, which it may end or leave.
func (s *Store) Revoke(ctx context.Context, where ...func(*entsql.Selector)) (_ int, err error) {
	ctx, c := s.observe(ctx, "revoke", &err)
	defer c.done(&err)
	if err := s.begin(ctx); err != nil {
		return 0, s.fail("revoke", err, nil)
	}
	total, err := s.revokeAll(ctx, where)
	return total, s.fail("revoke", err, nil)
}

// revokeAll works until none is left to be seen: a Rotate under way may be making a new row that the statement was too early for. While it is, its
// old row is still seen to be live; the next pass waits for its lock, and the one after meets the new row. A Rotate keeps the time of creation, so
// that those who sign in meanwhile, faster than they could be signed out, need not be waited for. What matches only now though it is older,
// and all of a table that does not know when a row was created, can't be told from what a Rotate has saved: the number is bounded, and
// then nil would be a lie.
func (s *Store) revokeAll(ctx context.Context, where []func(*entsql.Selector)) (total int, err error) {
	began, older := time.Now(), where
	for pass := 1; ; pass++ {
		n, err := s.revoke(ctx, where)
		total += n
		if err != nil {
			return total, err
		}
		left, err := s.any(ctx, older)
		switch {
		case err != nil:
			return total, err
		case !left:
			return total, nil
		case pass >= maxPasses && time.Since(began) > maxPassesTime:
			return total, fmt.Errorf("%d were ended, and sessions that match still appear after %d passes: call it again", total, pass)
		}
		if set := s.set.Load(); pass == 1 && set != nil && set.Table.HasCreated {
			now, err := s.now(ctx)
			if err != nil {
				return total, err
			}
			older = append(slices.Clone(where), entsql.FieldLTE(stmt.Created, now))
		}
		if pass > 1 && !s.pause(ctx, pass) {
			return total, cmp.Or(ctx.Err(), ErrClosed)
		}
	}
}

// any tells whether there is a live session that matches.
func (s *Store) any(ctx context.Context, where []func(*entsql.Selector)) (found bool, err error) {
	err = s.query(ctx, func(set *stmt.Set) (string, []any, error) { return set.Any(s.cfg.Application, where) },
		func() { found = false },
		func(_ *stmt.Set, row wire.Row) error { found = true; return nil })
	return found, err
}

// now is the database's second.
func (s *Store) now(ctx context.Context) (now int64, err error) {
	err = s.query(ctx, func(set *stmt.Set) (string, []any, error) { return "SELECT " + set.Table.Now(), []any{}, nil },
		func() {},
		func(_ *stmt.Set, row wire.Row) (err error) {
			now, err = row.Int(0)
			return err
		})
	return now, err
}

func (s *Store) revoke(ctx context.Context, where []func(*entsql.Selector)) (int, error) {
	n := int64(0)
	err := s.try(ctx, func(ctx context.Context, set *stmt.Set, _ attempt) error {
		if s.event(EventRevoke, "") != nil {
			told, err := s.revokeTelling(ctx, set, where)
			n = told
			return err
		}
		text, args, err := set.Revoke(s.cfg.Application, newVersion(), where)
		if err != nil {
			return err
		}
		return s.write(ctx, func() (err error) {
			n, err = exec(ctx, s.db, text, args)
			return err
		})
	})
	return int(n), err
}

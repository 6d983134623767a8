package entsession

import (
	"cmp"
	"context"
	"errors"

	"entgo.io/ent/dialect"

	"github.com/entsession/entsession/internal/fault"
	"github.com/entsession/entsession/internal/payload"
	"github.com/entsession/entsession/internal/stmt"
	"github.com/entsession/entsession/internal/wire"
)

// optimistic is how often Update tries without a lock. One that lost that often has company, and locks the row.
const optimistic = 3

// Update loads a session, applies f to it and saves it, again and again until no one else changed it meanwhile. When
// it returns nil, the effect of f has been applied exactly once; f may have run several times, on a newly loaded session each time, so
// it should be quick and do nothing but change the session. It must not call the store: it may hold the row's lock, SQLite's turn to write
// or the pool's last connection, and then its time counts against Config.StatementTimeout.
//
// An error of f is returned as it is, and nothing is written. A session that is not live is ErrNotFound. If the
// connection broke at the commit and someone else built on the session before it could be looked at again, the error
// says that the outcome is unknown: f was then applied at most once.
func (s *Store) Update(ctx context.Context, id string, f func(*Session) error) (_ *Session, err error) {
	ctx, c := s.observe(ctx, "update", &err)
	defer c.done(&err)
	r, ok := s.lookup(id)
	if err := s.begin(ctx); err != nil {
		return nil, s.fail("update", err, r)
	}
	if f == nil {
		return nil, errors.New("entsession: update: the function is nil")
	}
	if !ok {
		return nil, ErrNotFound
	}
	u := &update{store: s, ref: r, f: f}
	sess, err := u.run(ctx)
	if u.failed != nil {
		c.failed(u.failed)
		return nil, u.failed
	}
	if err != nil {
		return nil, s.fail("update", err, r)
	}
	return sess, nil
}

type update struct {
	store  *Store
	ref    *ref
	f      func(*Session) error
	failed error // the error of f, which no retry is to mistake for the database's
}

var errAbandoned = errors.New("the function returned an error")

func (u *update) apply(sess *Session) error {
	if u.failed = u.f(sess); u.failed != nil {
		return errAbandoned
	}
	return nil
}

func (u *update) run(ctx context.Context) (*Session, error) {
	for n := 1; n <= optimistic; n++ {
		sess, err := u.store.load(ctx, u.ref)
		if err != nil {
			return nil, err
		}
		if set := u.store.set.Load(); set != nil && !set.Table.HasVersion {
			break // equal data is no proof that nothing happened: lock
		}
		if err := u.apply(sess); err != nil {
			return nil, err
		}
		switch err := u.store.save(ctx, sess, nil); {
		case err == nil:
			return sess, nil
		case !errors.Is(err, ErrConflict):
			return nil, err
		}
		if !u.store.pause(ctx, n) {
			return nil, cmp.Or(ctx.Err(), ErrClosed)
		}
	}
	return u.locked(ctx)
}

// locked does it under the row's lock, in one short transaction.
func (u *update) locked(ctx context.Context) (*Session, error) {
	sess, err := u.lockedAs(ctx, payload.Encode)
	if err != nil && fault.Of(err) == fault.Charset {
		return u.lockedAs(ctx, payload.Opaque)
	}
	return sess, err
}

func (u *update) lockedAs(ctx context.Context, encode func([]byte) string) (*Session, error) {
	s, version := u.store, newVersion()
	s.hot.add(u.ref.key)
	defer s.hot.remove(u.ref.key)
	var sess *Session // the one that f was last applied to
	var loaded int64  // its version before
	err := s.try(ctx, func(ctx context.Context, set *stmt.Set, a attempt) error {
		if a.unsure && !set.Table.HasVersion {
			return a.unknown("a table without a version column keeps no trace of who wrote")
		}
		return s.inTx(ctx, func(tx wire.Querier) error {
			now, err := s.lock(ctx, tx, set, u.ref)
			if err != nil {
				return err
			}
			switch {
			case !a.unsure || now.version == loaded:
			case now.version == version:
				return nil // an attempt that lost its answer wrote it
			default:
				return a.unknown("the session was changed again since")
			}
			sess, loaded = now, now.version
			if err := u.apply(sess); err != nil {
				return err
			}
			if err := s.fits(sess.Data); err != nil {
				return err
			}
			return s.saveOn(ctx, tx, set, sess, encode(sess.Data), version, s.fromContextFor(ctx, sess, sess.staged), attempt{})
		})
	})
	return sess, err
}

// lock reads a live session and keeps others from changing it until the transaction ends.
func (s *Store) lock(ctx context.Context, tx wire.Querier, set *stmt.Set, r *ref) (*Session, error) {
	if set.Table.Dialect == dialect.SQLite {
		// SQLite locks the file: by a write, and before anything is read, or what was read may be old.
		if _, err := exec(ctx, tx, set.Hold, []any{r.key}); err != nil {
			return nil, err
		}
	}
	return s.read(ctx, tx, set, set.Lock, r)
}

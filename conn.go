package entsession

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"

	"github.com/entsession/entsession/internal/fault"
	"github.com/entsession/entsession/internal/stmt"
	"github.com/entsession/entsession/internal/wire"
)

// Retries are bounded in number, and jittered so that those who collided once don't do so again ("full jitter", Brooker,
// AWS Architecture Blog 2015). The sum of the pauses stays below one second.
const (
	maxAttempts = 6
	firstPause  = 4 * time.Millisecond
	maxPause    = 400 * time.Millisecond
)

// begin opens every public call: it refuses what can't be served, and draws for the purge.
func (s *Store) begin(ctx context.Context) error {
	switch {
	case ctx == nil:
		return errNilContext
	case s.closed.Load():
		return ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	s.drawPurge()
	return nil
}

// attempt is what a statement's function learns of the attempts before it.
type attempt struct {
	// unsure is set once an attempt died with its connection: what it wrote may have been committed.
	unsure bool
	// lost is the error of that attempt.
	lost error
}

// unknown is the error of a write that can't be told from another's any more. It does not wrap what broke the connection, as that
// would look like a reason to try again.
func (a attempt) unknown(why string) error {
	return fmt.Errorf("outcome unknown: the connection broke before the answer came (%v), and %s", a.lost, why)
}

// try is retry with the statement timeout over each attempt.
func (s *Store) try(ctx context.Context, f func(ctx context.Context, set *stmt.Set, a attempt) error) error {
	return s.retry(ctx, func(ctx context.Context, set *stmt.Set, a attempt) error {
		ctx, cancel := s.bounded(ctx)
		defer cancel()
		return f(ctx, set, a)
	})
}

// retry runs f until it succeeds, fails for good, or the budget of retries is spent. f must be safe to repeat: guarded by the
// version it writes, or idempotent.
func (s *Store) retry(ctx context.Context, f func(ctx context.Context, set *stmt.Set, a attempt) error) error {
	if !s.calls.TryRLock() { // Close waits, or is done
		return ErrClosed
	}
	defer s.calls.RUnlock()
	var a attempt
	var lacks *stmt.Set // one that named a column which the table has not
	for n := 1; ; n++ {
		set, err := s.once(ctx, f, a)
		if err == nil {
			s.budget.earn()
			s.notices.served(s)
			return nil
		}
		if a.unsure && (errors.Is(err, ErrOverloaded) || errors.Is(err, ErrClosed)) {
			return a.unknown("then: " + err.Error())
		}
		nothing := false
		for u := (*undone)(nil); errors.As(err, &u); err = u.error {
			nothing = true
		}
		kind, changed := fault.Of(err), errors.Is(err, errTableChanged)
		if changed {
			kind = fault.NoColumn
		}
		switch kind {
		case fault.Lost:
			if !nothing {
				a = attempt{unsure: true, lost: err}
			}
		case fault.NotSent, fault.ReadOnly, fault.Contention, fault.StalePlan:
		case fault.NoColumn:
			// The table changed under us, and may change again while it is looked at. When two looks agree, it did not: it lacks the column.
			if set == nil || !changed && lacks != nil && slices.Equal(lacks.Table.Columns, set.Table.Columns) {
				return err
			}
			lacks = set
			s.forget(set)
		default:
			return late(ctx, err)
		}
		if n == maxAttempts || !s.mayRetry(kind, err) || !s.pause(ctx, n) {
			return late(ctx, err)
		}
		s.retried(ctx)
	}
}

// late is the error of a call whose context has ended: the context's, whatever else the end of it broke. The network may notice a
// deadline a moment before the context does.
func late(ctx context.Context, err error) error {
	cause := ctx.Err()
	if deadline, ok := ctx.Deadline(); cause == nil && ok && !time.Now().Before(deadline) {
		cause = context.DeadlineExceeded
	}
	switch {
	case cause == nil && errors.Is(err, context.DeadlineExceeded) && fault.Of(err) == fault.Other:
		return &unavailable{fmt.Errorf("statement timeout: %w", err)}
	case cause == nil, errors.Is(err, cause), errors.Is(err, ErrNotFound), errors.Is(err, ErrConflict), errors.Is(err, ErrTooLarge):
		return err
	}
	return fmt.Errorf("%w: %w", cause, err)
}

func (s *Store) once(ctx context.Context, f func(context.Context, *stmt.Set, attempt) error, a attempt) (set *stmt.Set, err error) {
	if set = s.set.Load(); set == nil {
		if set, err = s.look(ctx); err != nil {
			return nil, &undone{err}
		}
	}
	return set, f(ctx, set, a)
}

// forget has the table described again. A look that is under way may have seen it as it was.
func (s *Store) forget(set *stmt.Set) {
	s.forgotten.Add(1)
	s.set.CompareAndSwap(set, nil)
}

// bounded puts the statement timeout over a statement. Of the calls of a batch none has one of its own.
func (s *Store) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if t := s.cfg.StatementTimeout; t > 0 {
		return context.WithTimeout(ctx, t)
	}
	return ctx, func() {}
}

// look describes the table, once for all who want to know.
func (s *Store) look(ctx context.Context) (*stmt.Set, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	select {
	case s.looking <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-s.looking }()
	return s.describe(ctx, s.db)
}

// pause waits before the next attempt. It reports false when the context or the store ended first.
func (s *Store) pause(ctx context.Context, n int) bool {
	limit := min(firstPause<<n, maxPause)
	timer := time.NewTimer(time.Duration(rand.Int64N(int64(limit))) + time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
	case <-s.life.Done():
	}
	return false
}

// describe learns the table's columns at the first use, and again after a statement found that they changed.
func (s *Store) describe(ctx context.Context, q wire.Querier) (*stmt.Set, error) {
	if set := s.set.Load(); set != nil {
		return set, nil
	}
	forgotten := s.forgotten.Load()
	var rows entsql.Rows
	if err := q.Ent().Query(ctx, s.table.DescribeQuery(), []any{}, &rows); err != nil {
		return nil, err
	}
	defer rows.Close()
	types, err := rows.ColumnTypes()
	if err != nil {
		return nil, err
	}
	table, names := *s.table, make([]string, 0, len(types))
	table.Types = map[string]string{}
	for _, t := range types {
		names = append(names, t.Name())
		table.Types[t.Name()] = t.DatabaseTypeName()
		if t.Name() == stmt.Timeout && strings.HasPrefix(t.DatabaseTypeName(), "UNSIGNED") {
			table.UnsignedTimeout = true
		}
		if binary := t.DatabaseTypeName(); !strings.Contains(binary, "BLOB") && !strings.Contains(binary, "BINARY") && binary != "BYTEA" {
			table.Text = append(table.Text, t.Name())
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return nil, err
	}
	if err := table.Describe(names); err != nil {
		return nil, err
	}
	if err := details(ctx, q, &table); err != nil {
		return nil, err
	}
	if err := s.needs(&table); err != nil {
		return nil, err
	}
	set := stmt.New(&table, s.cfg.policy())
	if s.forgotten.Load() != forgotten {
		return set, nil // for this call, and no other
	}
	if !s.set.CompareAndSwap(nil, set) {
		if newer := s.set.Load(); newer != nil {
			return newer, nil
		}
	}
	return set, nil
}

// needs checks that the table has the columns that the configuration asks for.
func (s *Store) needs(t *stmt.Table) error {
	missing := func(column, field string) error {
		return fmt.Errorf("table %s has no column %q, which %s needs: leave %s out, or add the column with the statements that `entsession migrate adopt` prints",
			t, column, field, field)
	}
	switch {
	case s.cfg.Application != "" && !t.HasApplication:
		return missing(stmt.Application, "Application")
	case s.cfg.MaxLifetime > 0 && !t.HasCreated:
		return missing(stmt.Created, "MaxLifetime")
	}
	return nil
}

// details reads what the types of the columns don't tell.
func details(ctx context.Context, q wire.Querier, t *stmt.Table) error {
	text, args := t.ComputedQuery()
	err := q.Query(ctx, text, args, func(row wire.Row) error {
		t.Computed = append(t.Computed, row.Key(0))
		return nil
	})
	if err != nil {
		return err
	}
	switch t.Dialect {
	case dialect.SQLite:
		return nil
	case dialect.MySQL:
		text, args = t.PrimaryIDQuery()
		primary, err := queryInt(ctx, q, text, args)
		if err != nil {
			return err
		}
		t.PrimaryID = primary == 1
		text, args = t.WaitingQuery()
		return q.Query(ctx, text, args, func(row wire.Row) error {
			t.Waiting = append(t.Waiting, row.Key(0))
			return nil
		})
	}
	t.Arrays = map[string]string{}
	text, args = t.ArraysQuery()
	return q.Query(ctx, text, args, func(row wire.Row) error {
		t.Arrays[row.Key(0)] = row.Key(1)
		return nil
	})
}

// exec runs a statement and returns how many rows it changed.
func exec(ctx context.Context, q wire.Querier, text string, args []any) (int64, error) {
	res, err := q.Exec(ctx, text, args)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// answer runs an Insert or a Save and returns the timeout that it gave the row; false if it wrote none.
func (l *lone) answer(ctx context.Context, q wire.Querier, set *stmt.Set, text string) (int64, bool, error) {
	if set.Table.Dialect == dialect.MySQL {
		// The insert id tells more than the count of rows, which depends on the driver's clientFoundRows.
		res, err := q.Exec(ctx, text, l.args)
		if err != nil {
			return 0, false, err
		}
		timeout, err := res.LastInsertId()
		return timeout, err == nil && timeout > 0, err
	}
	err := l.query(ctx, q, text)
	if errors.Is(err, ErrNotFound) {
		return 0, false, nil
	}
	return l.number, err == nil, err
}

// change runs a write that answers with a row, or else with how many it wrote: then the timeout is what it was loaded as.
func (l *lone) change(ctx context.Context, q wire.Querier, set *stmt.Set, text string, answers bool) (timeout int64, ok bool, err error) {
	if answers {
		return l.answer(ctx, q, set, text)
	}
	n, err := exec(ctx, q, text, l.args)
	return l.row.Timeout, n > 0, err
}

// write is where every change goes through: at once or, on SQLite, when the writer before has finished.
func (s *Store) write(ctx context.Context, f func() error) error {
	if s.writer == nil {
		return f()
	}
	select {
	case s.writer <- struct{}{}:
	default:
		bounded, cancel := s.bounded(ctx)
		defer cancel()
		select {
		case s.writer <- struct{}{}:
		case <-bounded.Done():
			return bounded.Err()
		}
	}
	defer func() { <-s.writer }()
	return f()
}

var errTableChanged = errors.New("the table's columns changed")

// undone is an error from before a write, or from within its transaction: whatever it was, this attempt has changed nothing.
type undone struct{ error }

func (u *undone) Unwrap() error { return u.error }

// inTx runs f in a transaction. It is rolled back when f fails or panics.
func (s *Store) inTx(ctx context.Context, f func(wire.Querier) error) error {
	return s.inTxOf(ctx, s.drv.Tx, f)
}

func (s *Store) inTxOf(ctx context.Context, begin func(context.Context) (dialect.Tx, error), f func(wire.Querier) error) error {
	return s.write(ctx, func() (err error) {
		tx, err := begin(ctx)
		if err != nil {
			return &undone{err}
		}
		done := false
		defer func() {
			if !done {
				_ = tx.Rollback() // the error that led here says more
			}
		}()
		if err := f(wire.Ent{ExecQuerier: tx}); err != nil {
			return &undone{err}
		}
		done = true
		return tx.Commit()
	})
}

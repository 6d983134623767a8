package entsession

import (
	"context"
	"errors"
	"sync"

	"github.com/entsession/entsession/internal/stmt"
	"github.com/entsession/entsession/internal/wire"
)

// lone is a statement that finds, or changes, one row: what it takes and where its answer goes, in one piece that is used again.
type lone struct {
	args []any
	row  stmt.Row // what args point to

	set    *stmt.Set
	sess   *Session // the row is a whole session
	judge  *string  // and has before that what Judged needs for this application
	state  *state   // the row is what Check reads
	event  *Event   // the row is that of a session which was ended
	number int64    // else it is a number

	rows int
	each func(wire.Row) error // takes the row
}

var lones = sync.Pool{New: func() any {
	l := &lone{args: make([]any, 0, 8)}
	l.each = l.take
	return l
}}

func newLone() *lone { return lones.Get().(*lone) }

func (l *lone) release() {
	clear(l.args)
	*l = lone{args: l.args[:0], each: l.each}
	lones.Put(l)
}

var errManyRows = errors.New("one row was expected, more came")

func (l *lone) take(row wire.Row) (err error) {
	if l.rows++; l.rows > 1 {
		return errManyRows
	}
	switch {
	case l.judge != nil:
		live, err := l.set.Judged(row, *l.judge)
		if err != nil || !live {
			l.sess = nil
			return err
		}
		return l.sess.fill(l.set, row.From(stmt.FetchColumns))
	case l.sess != nil:
		return l.sess.fill(l.set, row)
	case l.state != nil:
		return l.state.fill(l.set, row)
	case l.event != nil:
		return l.event.fill(l.set, row, 1)
	}
	l.number, err = row.Int(0)
	return err
}

// query runs a statement that returns at most one row. No row is ErrNotFound.
func (l *lone) query(ctx context.Context, q wire.Querier, text string) error {
	l.rows = 0
	err := q.Query(ctx, text, l.args, l.each)
	if err == nil && l.rows == 0 {
		return ErrNotFound
	}
	return err
}

// queryInt runs a statement that returns a number.
func queryInt(ctx context.Context, q wire.Querier, text string, args []any) (int64, error) {
	l := newLone()
	defer l.release()
	l.args = append(l.args, args...)
	err := l.query(ctx, q, text)
	return l.number, err
}

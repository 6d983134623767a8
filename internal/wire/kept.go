package wire

import (
	"context"
	"database/sql/driver"
)

// Keeper is a driver's connection that can keep statements prepared for as long as it lives.
type Keeper interface {
	// Keeps tells whether it does.
	Keeps() bool
	// Kept prepares a statement when it is first asked for. nil: there are too many, and the transaction is as it was.
	Kept(ctx context.Context, text string) (Prepared, error)
	// Forget closes one that has failed.
	Forget(text string, err error)
}

// Prepared is a prepared statement.
type Prepared interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// Kept gives the connection of a transaction as one whose statements stay prepared, for texts that come again and again: the server then parses them once,
// and their arguments not at all. False: it keeps none, which is so for PostgreSQL and SQLite too, whose connections keep all of them.
func Kept(q Querier) (Querier, bool) {
	c, ok := q.(*Conn)
	if !ok || c.keeper == nil || !c.keeper.Keeps() {
		return q, false
	}
	return kept{c}, true
}

type kept struct{ *Conn }

// Query implements Querier's.
func (k kept) Query(ctx context.Context, text string, args []any, each func(Row) error) error {
	s, named, err := k.statement(ctx, text, args)
	if err != nil {
		return err
	}
	if s == nil {
		return k.Conn.Query(ctx, text, args, each)
	}
	rows, err := s.QueryContext(ctx, named)
	if err == nil {
		err = k.read(rows, each)
	}
	if err != nil {
		k.keeper.Forget(text, err)
	}
	return err
}

// Exec implements Querier's.
func (k kept) Exec(ctx context.Context, text string, args []any) (driver.Result, error) {
	s, named, err := k.statement(ctx, text, args)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return k.Conn.Exec(ctx, text, args)
	}
	result, err := s.ExecContext(ctx, named)
	if err != nil {
		k.keeper.Forget(text, err)
	}
	return result, err
}

func (k kept) statement(ctx context.Context, text string, args []any) (Prepared, []driver.NamedValue, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	s, err := k.keeper.Kept(ctx, text)
	if s == nil || err != nil {
		return nil, nil, err
	}
	named, err := k.convert(args)
	return s, named, err
}

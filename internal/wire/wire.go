// Package wire runs statements and hands out their rows as the driver gives them.
//
// For the calls of every request, Pool talks to the driver's connection itself. database/sql would start a goroutine for each statement
// whose context can end, and convert each value twice; what is left of it here is the pool. For transactions and for drivers
// that are wrapped, Ent does the same through ent's driver.
package wire

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
)

// Querier runs statements.
type Querier interface {
	// Query calls each with every row.
	Query(ctx context.Context, text string, args []any, each func(Row) error) error
	// Exec runs a statement without rows.
	Exec(ctx context.Context, text string, args []any) (driver.Result, error)
	// Ent runs statements of which more than the rows is needed, such as the types of the columns. A Conn has none.
	Ent() dialect.ExecQuerier
}

// Of finds the fastest way to an ent driver's database: a Pool, if it is ent's own on a pool of database/sql. Wrapped ones
// (ent's debug driver, for one) are to see every statement. The limit is for each statement, the wait for a connection included; 0: none.
func Of(drv dialect.Driver, limit time.Duration) Querier {
	if d, ok := drv.(*entsql.Driver); ok {
		if db, ok := d.ExecQuerier.(*sql.DB); ok {
			return &Pool{db: db, ent: drv, limit: limit}
		}
	}
	return Ent{drv, limit}
}

// Pool runs each statement on a connection of a pool.
type Pool struct {
	db       *sql.DB
	ent      dialect.ExecQuerier
	limit    time.Duration
	direct   atomic.Bool // its connections bound a statement by themselves
	prepares atomic.Bool // and send statements by name, several in one trip too
}

// Query implements Querier.
func (p *Pool) Query(ctx context.Context, text string, args []any, each func(Row) error) error {
	return p.do(ctx, func(ctx context.Context, c *Conn) error { return c.Query(ctx, text, args, each) })
}

// Each runs n statements in one trip ("pipelining"): all are sent in one piece, and the server works on one after the other, in one transaction. Rows come
// with the number of their statement, and how many each changed goes into changed, unless that is nil. Nothing is read before all is written, so either the arguments of all together or their rows must be a few kilobytes
// at most. Where the driver can't do that the error is driver.ErrSkip.
func (p *Pool) Each(ctx context.Context, n int, statement Statement, each func(int, Row) error, changed []int64) error {
	if !p.prepares.Load() { // known before a connection is taken, or to fall back would be to wait for one twice
		return driver.ErrSkip
	}
	return p.do(ctx, func(ctx context.Context, c *Conn) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if c.direct == nil {
			return driver.ErrSkip
		}
		return c.direct.RunEach(ctx, c.limit, n, statement, func(i int, r Raw) error { return each(i, Row{raw: r}) }, changed)
	})
}

// Exec implements Querier.
func (p *Pool) Exec(ctx context.Context, text string, args []any) (result driver.Result, err error) {
	err = p.do(ctx, func(ctx context.Context, c *Conn) error {
		result, err = c.Exec(ctx, text, args)
		return err
	})
	return result, err
}

// Ent implements Querier.
func (p *Pool) Ent() dialect.ExecQuerier { return p.ent }

// Prepares tells whether statements go by name, so that their answers come in binary. Before the first connection it is false.
func (p *Pool) Prepares() bool { return p.prepares.Load() }

// DB is the pool itself.
func (p *Pool) DB() *sql.DB { return p.db }

// Tx runs f in a transaction on one connection. It is rolled back when f fails. In that case, or if it could not begin, committing is false:
// nothing was written.
func (p *Pool) Tx(ctx context.Context, f func(context.Context, Querier) error) (committing bool, err error) {
	if p.limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, p.limit)
		defer cancel()
	}
	err = p.take(ctx, func(c *Conn) error {
		tx, err := c.raw.BeginTx(ctx, driver.TxOptions{})
		if err != nil {
			return err
		}
		defer func() {
			if !committing {
				_ = tx.Rollback() // the error that led here says more
			}
		}()
		if err := f(ctx, c); err != nil {
			return err
		}
		committing = true
		return tx.Commit()
	})
	return committing, err
}

// do runs f with a connection, within the limit.
func (p *Pool) do(ctx context.Context, f func(context.Context, *Conn) error) error {
	limit := p.limit
	if limit > 0 && (!p.direct.Load() || p.db.Stats().Idle == 0) { // to wait for a connection, or to make one, takes its own time
		bounded, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		ctx, limit = bounded, 0
	}
	return p.take(ctx, func(c *Conn) error {
		c.limit = limit
		return f(ctx, c)
	})
}

// take runs f with a connection of the pool. A panic of f costs the connection, and goes on.
func (p *Pool) take(ctx context.Context, f func(*Conn) error) (err error) {
	taken, err := p.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() {
		if closed := taken.Close(); err == nil && closed != nil && !errors.Is(closed, sql.ErrConnDone) {
			err = closed
		}
	}()
	return taken.Raw(func(raw any) error {
		c := conns.Get().(*Conn)
		defer c.release()
		var ok bool
		if c.raw, ok = raw.(full); !ok {
			return fmt.Errorf("the driver's %T can do too little", raw)
		}
		c.checker, _ = raw.(driver.NamedValueChecker)
		c.keeper, _ = raw.(Keeper)
		if c.direct, ok = raw.(Direct); ok && !p.direct.Load() {
			p.direct.Store(c.direct.IsDirect())
			p.prepares.Store(c.direct.Prepares())
		}
		return f(c)
	})
}

// full is what a driver's connection must be able to do.
type full interface {
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
}

// Conn is a driver's connection, for the time of a Do.
type Conn struct {
	raw     full
	checker driver.NamedValueChecker
	direct  Direct        // nil if it is none
	keeper  Keeper        // nil if it is none
	limit   time.Duration // of a statement
	args    []driver.NamedValue
	row     []driver.Value
	each    func(Row) error // of the query under way
	eachRaw func(Raw) error // calls it
}

var conns = sync.Pool{New: func() any {
	c := &Conn{}
	c.eachRaw = func(r Raw) error { return c.each(Row{raw: r}) }
	return c
}}

func (c *Conn) release() {
	clear(c.args)
	clear(c.row)
	*c = Conn{args: c.args[:0], row: c.row[:0], eachRaw: c.eachRaw}
	conns.Put(c)
}

// Ent implements Querier.
func (c *Conn) Ent() dialect.ExecQuerier { return nil }

// Query implements Querier's.
func (c *Conn) Query(ctx context.Context, text string, args []any, each func(Row) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if c.direct != nil {
		c.each = each
		_, err := c.direct.RunDirect(ctx, c.limit, text, args, c.eachRaw)
		if err != driver.ErrSkip {
			return err
		}
	}
	named, err := c.convert(args)
	if err != nil {
		return err
	}
	rows, err := c.raw.QueryContext(ctx, text, named)
	if err == driver.ErrSkip {
		return c.prepared(ctx, text, func(s Prepared) error {
			rows, err := s.QueryContext(ctx, named)
			if err != nil {
				return err
			}
			return c.read(rows, each)
		})
	}
	if err != nil {
		return err
	}
	return c.read(rows, each)
}

// read reads all rows: a write's commit is known only once the last answer was read.
func (c *Conn) read(rows driver.Rows, each func(Row) error) (err error) {
	open := true
	defer func() {
		if open {
			_ = rows.Close() // the error that led here says more
		}
	}()
	n := len(rows.Columns())
	if cap(c.row) < n {
		c.row = make([]driver.Value, n)
	}
	row := c.row[:n]
	for {
		switch err := rows.Next(row); {
		case err == io.EOF:
			open = false
			return rows.Close()
		case err != nil:
			return err
		}
		if err := each(Row{values: row}); err != nil {
			return err
		}
	}
}

// Exec implements Querier's.
func (c *Conn) Exec(ctx context.Context, text string, args []any) (driver.Result, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if c.direct != nil {
		n, err := c.direct.RunDirect(ctx, c.limit, text, args, nil)
		if err != driver.ErrSkip {
			return driver.RowsAffected(n), err
		}
	}
	named, err := c.convert(args)
	if err != nil {
		return nil, err
	}
	result, err := c.raw.ExecContext(ctx, text, named)
	if err == driver.ErrSkip {
		err = c.prepared(ctx, text, func(s Prepared) error {
			result, err = s.ExecContext(ctx, named)
			return err
		})
	}
	return result, err
}

// prepared is for a driver that takes no arguments without preparing the statement first.
func (c *Conn) prepared(ctx context.Context, text string, f func(Prepared) error) error {
	p, err := c.raw.PrepareContext(ctx, text)
	if err != nil {
		return err
	}
	s, ok := p.(Prepared)
	if !ok {
		return errors.Join(fmt.Errorf("the driver's %T can do too little", p), p.Close())
	}
	err = f(s)
	if closed := s.Close(); err == nil {
		err = closed
	}
	return err
}

// value is what a pointer of the store's points to: see stmt.LoneSaveArgs.
func value(arg any) any {
	switch p := arg.(type) {
	case *string:
		return *p
	case *int64:
		return *p
	}
	return arg
}

// convert makes of the arguments what the driver takes, as database/sql does.
func (c *Conn) convert(args []any) ([]driver.NamedValue, error) {
	named := c.args[:0]
	for i, a := range args {
		v := driver.NamedValue{Ordinal: i + 1, Value: value(a)}
		err := driver.ErrSkip
		if c.checker != nil {
			err = c.checker.CheckNamedValue(&v)
		}
		if err == driver.ErrSkip {
			v.Value, err = driver.DefaultParameterConverter.ConvertValue(v.Value)
		}
		if err != nil {
			return nil, fmt.Errorf("argument %d: %w", i+1, err)
		}
		named = append(named, v)
	}
	c.args = named
	return named, nil
}

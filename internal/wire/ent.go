package wire

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
)

// Ent runs statements through ent's driver, or in one of its transactions.
type Ent struct {
	dialect.ExecQuerier
	Limit time.Duration // of a statement; 0: none
}

func (e Ent) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if e.Limit > 0 {
		return context.WithTimeout(ctx, e.Limit)
	}
	return ctx, func() {}
}

// Query implements Querier.
func (e Ent) Query(ctx context.Context, text string, args []any, each func(Row) error) error {
	ctx, cancel := e.bounded(ctx)
	defer cancel()
	args = values(args)
	var rows entsql.Rows
	if err := e.ExecQuerier.Query(ctx, text, args, &rows); err != nil {
		return err
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return err
	}
	row, dest := make([]driver.Value, len(names)), make([]any, len(names))
	for i := range row {
		dest[i] = (*any)(&row[i])
	}
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return err
		}
		if err := each(Row{values: row}); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Exec implements Querier.
func (e Ent) Exec(ctx context.Context, text string, args []any) (driver.Result, error) {
	ctx, cancel := e.bounded(ctx)
	defer cancel()
	args = values(args)
	var res sql.Result
	if err := e.ExecQuerier.Exec(ctx, text, args, &res); err != nil {
		return nil, err
	}
	return res, nil
}

// Ent implements Querier.
func (e Ent) Ent() dialect.ExecQuerier { return e.ExecQuerier }

// values are for whoever shows the arguments, as ent's debug driver does.
func values(args []any) []any {
	out := make([]any, len(args))
	for i, a := range args {
		out[i] = value(a)
	}
	return out
}

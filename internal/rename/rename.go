// Package rename points a generated ent client at a table of another name.
//
// ent writes a schema's table name into the generated code, always quoted, and never a value into the text of a statement. So
// replacing the quoted name in the text is exact, whether it stands alone or before a column.
package rename

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"entgo.io/ent/dialect"
)

// Driver wraps drv so that the table called name in its statements is schema.table, or table if schema is "".
func Driver(drv dialect.Driver, name, schema, table string) dialect.Driver {
	if schema == "" && table == name {
		return drv
	}
	q := "`"
	if drv.Dialect() == dialect.Postgres {
		q = `"`
	}
	to := q + table + q
	if schema != "" {
		to = q + schema + q + "." + to
	}
	return &driver{drv, strings.NewReplacer(q+name+q, to)}
}

type driver struct {
	dialect.Driver
	names *strings.Replacer
}

func (d *driver) Exec(ctx context.Context, query string, args, v any) error {
	return d.Driver.Exec(ctx, d.names.Replace(query), args, v)
}

func (d *driver) Query(ctx context.Context, query string, args, v any) error {
	return d.Driver.Query(ctx, d.names.Replace(query), args, v)
}

func (d *driver) Tx(ctx context.Context) (dialect.Tx, error) {
	t, err := d.Driver.Tx(ctx)
	if err != nil {
		return nil, err
	}
	return &tx{t, d.names}, nil
}

// BeginTx is what the generated client's BeginTx asks a driver for, with a type assertion that panics.
func (d *driver) BeginTx(ctx context.Context, opts *sql.TxOptions) (dialect.Tx, error) {
	inner, ok := d.Driver.(interface {
		BeginTx(context.Context, *sql.TxOptions) (dialect.Tx, error)
	})
	if !ok {
		return nil, fmt.Errorf("the driver %T takes no transaction options", d.Driver)
	}
	t, err := inner.BeginTx(ctx, opts)
	if err != nil {
		return nil, err
	}
	return &tx{t, d.names}, nil
}

type tx struct {
	dialect.Tx
	names *strings.Replacer
}

func (t *tx) Exec(ctx context.Context, query string, args, v any) error {
	return t.Tx.Exec(ctx, t.names.Replace(query), args, v)
}

func (t *tx) Query(ctx context.Context, query string, args, v any) error {
	return t.Tx.Query(ctx, t.names.Replace(query), args, v)
}

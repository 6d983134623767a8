package entsession

import (
	"context"
	"time"

	"github.com/entsession/entsession/internal/stmt"
	"github.com/entsession/entsession/internal/wire"
)

// Usage is what one application has in the table.
type Usage struct {
	Application string
	Live        int64     // sessions
	Expired     int64     // rows that wait for the purge
	Tombstones  int64     // rows of revoked sessions that wait for the purge
	Bytes       int64     // payload as stored, of all rows
	Oldest      time.Time // creation of the oldest live session; zero if there is none, or no created column
}

// Usage counts the rows of every application that shares the table. It reads the whole table: for an operator, not for a request.
func (s *Store) Usage(ctx context.Context) (_ []Usage, err error) {
	ctx, c := s.observe(ctx, "count", &err)
	defer c.done(&err)
	if err := s.begin(ctx); err != nil {
		return nil, s.fail("count", err, nil)
	}
	var out []Usage
	err = s.query(ctx, func(set *stmt.Set) (string, []any, error) { return set.Usage(), []any{}, nil },
		func() { out = nil },
		func(_ *stmt.Set, row wire.Row) error {
			var n [5]int64
			for i := range n {
				var err error
				if n[i], err = row.Int(i + 1); err != nil {
					return err
				}
			}
			u := Usage{Application: row.Key(0), Live: n[0], Expired: n[1], Tombstones: n[2], Bytes: n[3]}
			if n[4] > 0 {
				u.Oldest = time.Unix(n[4], 0)
			}
			out = append(out, u)
			return nil
		})
	if err != nil {
		return nil, s.fail("count", err, nil)
	}
	return out, nil
}

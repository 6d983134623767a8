package entsession

import (
	"database/sql/driver"
	"slices"

	"github.com/entsession/entsession/internal/payload"
	"github.com/entsession/entsession/internal/stmt"
	"github.com/entsession/entsession/internal/wire"
)

// fill takes over a row that Load read.
func (s *Session) fill(set *stmt.Set, row []driver.Value) (err error) {
	t := set.Table
	s.stored, s.kept = wire.Text(row[0]), row[0] != nil
	if s.kept {
		s.Data = payload.Decode([]byte(s.stored))
	}
	if s.timeout, err = wire.Int(row[1]); err != nil {
		return err
	}
	n := 2
	if t.HasVersion {
		if s.version, err = wire.Int(row[n]); err != nil {
			return err
		}
		n++
	}
	if t.HasCreated {
		if s.created, err = wire.Int(row[n]); err != nil {
			return err
		}
		n++
	}
	s.columns, s.values = t.Extra, make([]any, len(t.Extra))
	for i, v := range row[n:] {
		if b, ok := v.([]byte); ok && slices.Contains(t.Text, t.Extra[i]) {
			s.values[i] = string(b) // MySQL's driver hands text out as bytes
		} else {
			s.values[i] = wire.Copy(v)
		}
	}
	return nil
}

// written takes over what a write made true.
func (s *Session) written(set *stmt.Set, text string, version, timeout int64) {
	s.timeout = timeout
	s.version = version
	s.stored, s.kept = text, true
	if s.columns == nil {
		// Just created: of the columns that weren't given, the table's defaults are not known before a Load.
		for _, c := range s.staged {
			s.columns, s.values = append(s.columns, c.name), append(s.values, c.value)
		}
		s.staged = nil
		return
	}
	if len(s.staged) == 0 {
		return
	}
	values := make([]any, len(set.Table.Extra))
	for i, name := range set.Table.Extra {
		values[i], _ = s.Get(name)
	}
	s.columns, s.values, s.staged = set.Table.Extra, values, nil
}

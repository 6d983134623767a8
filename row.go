package entsession

import (
	"hash/maphash"
	"slices"

	"github.com/entsession/entsession/internal/payload"
	"github.com/entsession/entsession/internal/stmt"
	"github.com/entsession/entsession/internal/wire"
)

// seed makes the sums of this process, which nobody outside can aim at: that a changed payload has the sum of the old one happens once in 2^64 saves.
var seed = maphash.MakeSeed()

// fill takes over a row that Load read.
func (s *Session) fill(set *stmt.Set, row wire.Row) (err error) {
	t := set.Table
	data := row.Bytes(0)
	s.null, s.sum = data == nil, maphash.Bytes(seed, data)
	if !t.HasVersion {
		s.stored = string(data)
	}
	s.Data = payload.Decode(data)
	if s.timeout, err = row.Int(1); err != nil {
		return err
	}
	n := 2
	if t.HasVersion {
		if s.version, err = row.Int(n); err != nil {
			return err
		}
		n++
	}
	if t.HasCreated {
		if s.created, err = row.Int(n); err != nil {
			return err
		}
		n++
	}
	s.columns = t.Extra
	s.values, err = extras(t, row, n)
	return err
}

// extras reads the extra columns, of which the first is column n.
func extras(t *stmt.Table, row wire.Row, n int) ([]any, error) {
	values := make([]any, len(t.Extra))
	for i := range values {
		v, err := row.Value(n + i)
		if err != nil {
			return nil, err
		}
		if b, ok := v.([]byte); ok && slices.Contains(t.Text, t.Extra[i]) {
			v = string(b) // MySQL's driver hands text out as bytes
		}
		values[i] = v
	}
	return values, nil
}

// written takes over what a write made true.
func (s *Session) written(set *stmt.Set, text string, version, timeout int64) {
	s.timeout = timeout
	s.version = version
	s.null, s.sum = false, maphash.String(seed, text)
	if !set.Table.HasVersion {
		s.stored = text
	}
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
	// Of a session that was just created, the columns that weren't given are still not known.
	var names []string
	var values []any
	for _, name := range set.Table.Extra {
		if v, ok := s.Get(name); ok {
			names, values = append(names, name), append(values, v)
		}
	}
	s.columns, s.values, s.staged = names, values, nil
}

package entsession

import (
	"slices"

	"github.com/entsession/entsession/internal/payload"
	"github.com/entsession/entsession/internal/stmt"
)

// scan gives the destinations of the columns that Load reads, and a function that finishes the session once they are filled.
func (s *Session) scan(set *stmt.Set) (dest []any, finish func()) {
	t := set.Table
	var data []byte
	dest = append(make([]any, 0, 4+len(t.Extra)), &data, &s.timeout)
	if t.HasVersion {
		dest = append(dest, &s.version)
	}
	if t.HasCreated {
		dest = append(dest, &s.created)
	}
	s.columns, s.values = t.Extra, make([]any, len(t.Extra))
	for i := range s.values {
		dest = append(dest, &s.values[i])
	}
	return dest, func() {
		if !t.HasVersion && data != nil {
			stored := string(data)
			s.stored = &stored
		}
		s.Data = payload.Decode(data)
		for i, v := range s.values {
			if b, ok := v.([]byte); ok && slices.Contains(t.Text, t.Extra[i]) {
				s.values[i] = string(b) // MySQL's driver hands text out as bytes
			}
		}
	}
}

// written takes over what a write made true.
func (s *Session) written(set *stmt.Set, text string, version, timeout int64) {
	s.timeout = timeout
	if set.Table.HasVersion {
		s.version = version
	} else {
		s.stored = &text
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
	values := make([]any, len(set.Table.Extra))
	for i, name := range set.Table.Extra {
		values[i], _ = s.Get(name)
	}
	s.columns, s.values, s.staged = set.Table.Extra, values, nil
}

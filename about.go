package entsession

import "context"

// What generated typed stores ask: see package typedstore.

// Table is the name of the store's table, with its schema if the configuration names one.
func (s *Store) Table() string { return s.table.String() }

// Dialect is ent's name of the database: postgres, mysql or sqlite3.
func (s *Store) Dialect() string { return s.table.Dialect }

// Application is Config.Application.
func (s *Store) Application() string { return s.cfg.Application }

// ContextColumns are what Config.ColumnsFunc gives for a context.
func (s *Store) ContextColumns(ctx context.Context) []Column {
	if s.cfg.ColumnsFunc == nil {
		return nil
	}
	return s.cfg.ColumnsFunc(ctx)
}

// Version is the random token of the last write of the session's payload or of a column, as loaded or saved: two loads that give the same
// one saw the same session, but for its expiry. It is 0 in a table without the version column.
func (s *Session) Version() int64 { return s.version }

package migrator

import (
	"context"
	"fmt"
	"time"
)

// State is what has become of a migration file in a database.
type State int

// The states.
const (
	Pending State = iota // not applied
	Applied              // wholly
	Partial              // interrupted, on MySQL: Apply goes on with it
	Altered              // the file is not the one that was applied: Apply refuses
)

func (s State) String() string {
	switch s {
	case Pending:
		return "pending"
	case Applied:
		return "applied"
	case Partial:
		return "partial"
	case Altered:
		return "altered"
	}
	return fmt.Sprintf("State(%d)", int(s))
}

// File is an embedded migration.
type File struct {
	Version     string // a UTC timestamp, such as 20260102150405
	Description string // what the file's name says
	State       State
	AppliedAt   time.Time // when its last statement was recorded, by the database's clock; zero when none was
	Statements  int       // how many the file has
	Done        int       // how many of them are applied
	Hash        string    // of the file, as in atlas.sum
	Failure     string    // why the last attempt failed; only MySQL remembers
}

// Status tells what Apply would do. It takes no lock and writes nothing.
func Status(ctx context.Context, t Target) ([]File, error) {
	m, err := open(ctx, t)
	if err != nil {
		return nil, err
	}
	h, err := m.history(ctx, m.drv)
	if err != nil {
		return nil, fmt.Errorf("reading what table %s has had: %w", m.names, err)
	}
	files := make([]File, 0, len(m.files))
	for _, f := range m.files {
		state, r := m.state(h, f)
		out := File{
			Version: f.version, Description: f.description, State: state, AppliedAt: r.at,
			Statements: len(f.stmts), Hash: f.hash, Failure: r.failure,
		}
		switch state {
		case Applied:
			out.Done = out.Statements
		case Partial, Altered:
			out.Done = min(r.applied, out.Statements)
		}
		files = append(files, out)
	}
	return files, nil
}

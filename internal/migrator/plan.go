package migrator

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"ariga.io/atlas/sql/migrate"
	"entgo.io/ent/dialect"
)

// pending is a file to apply.
type pending struct {
	file
	first bool
	// done is the revision of an earlier attempt, nil when there was none. Its statements are not run again.
	done *revision
}

// next is the first file that was not wholly applied, nil when there is none. It fails when one that was applied is another one now.
func (m *migrator) next(h history) (*pending, error) {
	var found *pending
	for i, f := range m.files {
		switch state, r := m.state(h, f); {
		case state == Altered:
			return nil, fmt.Errorf("%w: file %s was altered after it was applied (its hash is %s, table %q has %s): put back the released file",
				ErrAltered, f.name, f.hash, h.table, r.hash)
		case state == Applied, found != nil:
		case state == Pending && h.taken(f):
			return nil, fmt.Errorf("applying %s: version %s of table %q is another migration, %q", f.name, f.version, h.table, h.others[f.version])
		case state == Partial:
			found = &pending{file: f, first: i == 0, done: &r}
		default:
			found = &pending{file: f, first: i == 0}
		}
	}
	return found, nil
}

func (h history) taken(f file) bool {
	_, ok := h.others[f.version]
	return ok
}

// state is that of one file, and its revision if it has one.
func (m *migrator) state(h history, f file) (State, revision) {
	r, ok := h.revisions[f.version]
	switch {
	case !ok && m.belowBaseline(h, f):
		return Applied, r
	case !ok:
		return Pending, r
	case r.kind.Has(migrate.RevisionTypeBaseline):
		return Applied, r
	case r.applied < r.total && !r.kind.Has(migrate.RevisionTypeResolved): // else someone has declared it applied
		if !samePrefix(r, f) {
			return Altered, r
		}
		return Partial, r
	case r.applied < r.total:
		return Applied, r
	case r.hash != f.hash:
		return Altered, r
	}
	return Applied, r
}

// belowBaseline tells whether the atlas command was told to begin after a later file.
func (m *migrator) belowBaseline(h history, f file) bool {
	for _, r := range h.revisions {
		if r.kind.Has(migrate.RevisionTypeBaseline) && f.version <= r.version {
			return true
		}
	}
	return false
}

// samePrefix tells whether the statements that were applied are still those of the file.
func samePrefix(r revision, f file) bool {
	if r.applied > len(f.sums) || r.applied != len(r.sums) {
		return false
	}
	return slices.EqualFunc(r.sums, f.sums[:r.applied], func(done, now string) bool {
		return strings.TrimPrefix(done, "h1:") == now
	})
}

// begin is the revision that an attempt at p starts from.
func (p *pending) begin() revision {
	r := revision{version: p.version, description: p.description, kind: migrate.RevisionTypeExecute}
	if p.done != nil {
		r = *p.done
	}
	r.hash, r.total, r.failure = p.hash, len(p.stmts), "" // what was not yet applied may have been corrected
	return r
}

// count adds a statement to those that are applied.
func (r *revision) count(p *pending) {
	r.sums = append(r.sums, "h1:"+p.sums[r.applied])
	r.applied++
	if r.applied == r.total {
		r.sums = nil
	}
}

// prepare checks, once the lock is held, that p may be applied.
func (m *migrator) prepare(ctx context.Context, q dialect.ExecQuerier, h history, p *pending) error {
	if !p.first {
		return nil
	}
	columns, err := m.columns(ctx, q, m.names.table)
	if err != nil || len(columns) == 0 {
		return err
	}
	missing, err := m.missing(p.file, columns)
	if err != nil {
		return err
	}
	// A process that was killed between the statement and its record leaves the whole table behind.
	if p.done != nil && len(missing) == 0 {
		return nil
	}
	return m.exists(ctx, q, h, p.file, columns)
}

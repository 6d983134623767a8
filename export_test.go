package entsession

import (
	"context"
	"database/sql/driver"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/entsession/entsession/internal/batch"
	"github.com/entsession/entsession/internal/stmt"
)

// Together has a new store send every call through a batch, be it the only one in it.
func Together(s *Store) { s.together, s.pipelined = true, 0 }

// Pipelined does too, and the loads and saves of a batch are a statement each, be they ever so many.
func Pipelined(s *Store) { s.together, s.pipelined = true, maxCalls }

// Key is what is stored of an id.
func Key(s *Store, id string) string { return s.key(id) }

// HooksMayTake is how long Close waits for them.
func HooksMayTake(s *Store, d time.Duration) { s.events.patience = d }

// LoadTogether loads sessions in one batch; nil for those that are not live. each: as a statement each.
func LoadTogether(ctx context.Context, s *Store, ids ...string) (found []*Session, each bool, err error) {
	l := s.lanesFor(s.set.Load())
	var calls []*batch.Call[reading]
	for _, id := range ids {
		r, _ := s.lookup(id)
		calls = append(calls, &batch.Call[reading]{Val: reading{ref: r}})
	}
	sorted, keys := byKey(calls)
	if err = l.fetchEach(ctx, sorted, keys); err == driver.ErrSkip {
		err = l.runLoad(ctx, nil, calls)
	} else {
		each = true
	}
	for _, c := range calls {
		found = append(found, c.Val.sess)
	}
	return found, each, err
}

// SaveTogether saves sessions in one batch, each with its name as payload. It tells which were saved. each: as a statement each.
func SaveTogether(ctx context.Context, s *Store, sessions map[string]*Session) (saved map[string]bool, each bool, err error) {
	l := s.lanesFor(s.set.Load())
	byName := map[string]*batch.Call[writing]{}
	var calls []*batch.Call[writing]
	for name, sess := range sessions {
		row := stmt.Row{Key: sess.ref.key, Text: name, Version: newVersion(), Guard: sess.version, Timeout: l.set.Staying(sess.timeout, sess.created)}
		byName[name] = &batch.Call[writing]{Val: writing{row: row}}
		calls = append(calls, byName[name])
	}
	unique, _ := sorted(calls)
	if err = l.saveEach(ctx, unique); err == driver.ErrSkip {
		err = l.runSave(l.set.SaveMany(nil), 0)(ctx, nil, calls)
	} else {
		each = true
	}
	saved = map[string]bool{}
	for name, c := range byName {
		saved[name] = c.Val.ok
		if c.Val.ok != (c.Val.timeout > 0) {
			return nil, each, fmt.Errorf("%s: saved %t, and the timeout is %d", name, c.Val.ok, c.Val.timeout)
		}
	}
	return saved, each, err
}

// ByID are the statements that find rows by their ids, by name.
func ByID(s *Store) map[string]string {
	set := s.set.Load()
	many, one := set.Together(), []string{"subject"}
	out := map[string]string{
		"Load": set.Load, "Fetch": set.Fetch, "Lock": set.Lock, "Check": set.Check, "Touch": set.Touch, "Delete": set.Delete, "Copy": set.Copy(set.Table.CopyColumns()),
		"SaveFirst": set.SaveFirst, "SaveUnrenewedFirst": set.SaveUnrenewedFirst,
		"LoadMany": many.Load.Text(2), "CheckMany": many.Check.Text(2), "TouchMany": many.Touch.Text(2), "DeleteMany": many.Delete.Text(2),
		"Due": set.Commits().Due(),
	}
	for _, columns := range [][]string{nil, one} {
		name := strings.Join(columns, " ")
		if saves := set.SaveMany(columns); saves != nil {
			out["SaveMany "+name] = saves.Text(2)
		}
		out["Save "+name], out["SaveUnrenewed "+name] = set.Save(columns), set.SaveUnrenewed(columns)
		for _, guarded := range []bool{false, true} {
			name := fmt.Sprint(name, " ", guarded)
			out["Update "+name], out["UpdateUnrenewed "+name] = set.Commits().Update(columns, guarded), set.Commits().UpdateUnrenewed(columns, guarded)
		}
	}
	maps.DeleteFunc(out, func(_, text string) bool { return text == "" })
	return out
}

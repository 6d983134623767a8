package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/entsession/entsession/ent"
	"github.com/entsession/entsession/ent/session"
)

// A handle names a session in front of an operator. It is the beginning of the SHA-256 of what the id column holds, also where
// that is a hash already: a table with plain ids may be looked at with a configuration that doesn't say so, and even the
// beginning of a secret is nothing to show.

const (
	// handleLength is in hexadecimal digits: 64 bits keep a billion sessions apart, all but certainly.
	handleLength = 16
	// shortestHandle keeps a slip of the finger from meaning a session.
	shortestHandle = 6
)

func handle(key string) string { return digest(key)[:handleLength] }

func digest(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

var handleForm = regexp.MustCompile(`^[0-9a-f]*$`)

func checkHandle(h string) error {
	switch {
	case !handleForm.MatchString(h) || len(h) > 2*sha256.Size:
		return errors.New("--handle: that is no handle; `entsession list` shows them") // it may be an id: not repeated
	case len(h) < shortestHandle:
		return fmt.Errorf("--handle: %q is too short: give %d digits or more", h, shortestHandle)
	}
	return nil
}

// keysPage is how many ids are read at a time to find a handle.
const keysPage = 10_000

// find returns the stored ids that a handle fits, whether they are live or not. No index helps: it goes through the ids of the whole
// table.
func (c *connection) find(ctx context.Context, handle string) (keys []string, err error) {
	for after := ""; ; {
		q := c.Client().Session.Query().Order(ent.Asc(session.FieldID)).Limit(keysPage)
		if after != "" {
			q.Where(session.IDGT(after))
		}
		page, err := q.Select(session.FieldID).Strings(ctx)
		if err != nil {
			return nil, c.tableError("reading the ids", err)
		}
		for _, key := range page {
			key = strings.TrimRight(key, " ") // PostgreSQL pads char(72)
			if strings.HasPrefix(digest(key), handle) {
				keys = append(keys, key)
			}
		}
		if len(page) < keysPage {
			return keys, nil
		}
		after = page[len(page)-1]
	}
}

// byHandle is the predicate for the one live session that a handle fits, among those that fit where.
func (c *connection) byHandle(ctx context.Context, handle string, where []predicate) (predicate, error) {
	keys, err := c.find(ctx, handle)
	if err != nil {
		return nil, err
	}
	var live []string
	if len(keys) > 0 {
		for s, err := range c.List(ctx, append(where[:len(where):len(where)], session.IDIn(keys...))...) {
			if err != nil {
				return nil, err
			}
			live = append(live, s.Key())
		}
	}
	switch len(live) {
	case 1:
		return session.ID(live[0]), nil
	case 0:
		return nil, &codedError{code: exitHandle, err: fmt.Errorf("no live session has the handle %s", handle)}
	}
	return nil, &codedError{code: exitHandle, err: fmt.Errorf("%d sessions have a handle that begins with %s: give more of it", len(live), handle)}
}

// selected is the whole selection as predicates.
func (c *connection) selected(ctx context.Context, s *selection) ([]predicate, error) {
	where, err := c.predicates(ctx, s)
	if err != nil || s.handle == "" {
		return where, err
	}
	one, err := c.byHandle(ctx, s.handle, where)
	if err != nil {
		return nil, err
	}
	return append(where, one), nil
}

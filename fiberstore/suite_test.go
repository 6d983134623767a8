package fiberstore_test

import (
	"bytes"
	"context"
	"encoding/gob"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/ent/session"
	"github.com/entsession/entsession/fiberstore"
	"github.com/entsession/entsession/sessiontest"
)

// TestSuite: the promises that can be seen from outside, through what fiber calls.
func TestSuite(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ v2, overwrite bool }{"v3": {}, "v3/overwrite": {overwrite: true}, "v2": {v2: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sessiontest.RunAdapter(t, func(t *testing.T) sessiontest.Adapter { return suiteAdapter(t, c.v2, c.overwrite) })
		})
	}
}

// fiberCtx is what of a fiber.Ctx of v3 counts.
type fiberCtx struct {
	context.Context
	mu     sync.Mutex
	locals map[any]any
}

func (c *fiberCtx) Locals(key any, value ...any) any {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(value) > 0 {
		c.locals[key] = value[0]
	}
	return c.locals[key]
}

func suiteAdapter(t *testing.T, v2, overwrite bool) sessiontest.Adapter {
	store := sessiontest.New(t)
	s := fiberstore.New(store)
	s.Overwrite = overwrite
	set := func(ctx context.Context, key string, values map[string]string) error {
		b, err := encode(values)
		if err != nil {
			return err
		}
		return s.SetWithContext(ctx, key, b, time.Hour)
	}
	a := sessiontest.Adapter{
		Create: func(ctx context.Context, id string, values map[string]string) (string, error) {
			return id, set(ctx, id, values)
		},
		Find: func(ctx context.Context, id string) (map[string]string, error) {
			b, err := s.GetWithContext(ctx, id)
			if err != nil || b == nil {
				return nil, err
			}
			return decode(b)
		},
		Save:   set,
		Delete: s.DeleteWithContext,
		Expire: func(t testing.TB, id string) { sessiontest.Expire(t, store, id) },
		Rows: func(t testing.TB) int {
			n, err := store.Client().Session.Query().Where(session.TimeoutGT(1)).Count(context.Background())
			require.NoError(t, err)
			return n
		},
		Break:          func(t testing.TB) { require.NoError(t, store.Close()) },
		NoRequests:     v2,
		LastWriterWins: overwrite || v2,
	}
	if !v2 {
		a.Request = func(ctx context.Context) context.Context { return &fiberCtx{Context: ctx, locals: map[any]any{}} }
	}
	return a
}

func encode(values map[string]string) ([]byte, error) {
	all := map[any]any{}
	for k, v := range values {
		all[k] = v
	}
	var b bytes.Buffer
	err := gob.NewEncoder(&b).Encode(&all)
	return b.Bytes(), err
}

func decode(b []byte) (map[string]string, error) {
	var all map[any]any
	err := gob.NewDecoder(bytes.NewReader(b)).Decode(&all)
	values := map[string]string{}
	for k, v := range all {
		name, _ := k.(string)
		values[name], _ = v.(string)
	}
	return values, err
}

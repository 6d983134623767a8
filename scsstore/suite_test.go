package scsstore_test

import (
	"bytes"
	"context"
	"encoding/gob"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/ent/session"
	"github.com/entsession/entsession/scsstore"
	"github.com/entsession/entsession/sessiontest"
)

// TestSuite: the promises that can be seen from outside, through what scs calls.
func TestSuite(t *testing.T) {
	t.Parallel()
	for name, overwrite := range map[string]bool{"merge": false, "overwrite": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sessiontest.RunAdapter(t, func(t *testing.T) sessiontest.Adapter { return suiteAdapter(t, overwrite) })
		})
	}
}

func suiteAdapter(t *testing.T, overwrite bool) sessiontest.Adapter {
	store := sessiontest.New(t)
	s := scsstore.New(store)
	s.Overwrite = overwrite
	commit := func(ctx context.Context, token string, values map[string]string) error {
		b, err := encode(values)
		if err != nil {
			return err
		}
		return s.CommitCtx(ctx, token, b, time.Now().Add(time.Hour))
	}
	return sessiontest.Adapter{
		Create: func(ctx context.Context, id string, values map[string]string) (string, error) {
			return id, commit(ctx, id, values)
		},
		Find: func(ctx context.Context, id string) (map[string]string, error) {
			b, found, err := s.FindCtx(ctx, id)
			if err != nil || !found {
				return nil, err
			}
			return decode(b)
		},
		Save:           commit,
		Delete:         s.DeleteCtx,
		Expire:         func(t testing.TB, id string) { sessiontest.Expire(t, store, id) },
		Rows:           func(t testing.TB) int { return live(t, store) },
		Break:          func(t testing.TB) { require.NoError(t, store.Close()) },
		LastWriterWins: overwrite,
	}
}

func live(t testing.TB, store *entsession.Store) int {
	n, err := store.Client().Session.Query().Where(session.TimeoutGT(1)).Count(context.Background())
	require.NoError(t, err)
	return n
}

// What scs.GobCodec writes and reads.
type payload struct {
	Deadline time.Time
	Values   map[string]any
}

func encode(values map[string]string) ([]byte, error) {
	p := payload{Deadline: time.Unix(2e9, 0), Values: map[string]any{}}
	for k, v := range values {
		p.Values[k] = v
	}
	var b bytes.Buffer
	err := gob.NewEncoder(&b).Encode(p)
	return b.Bytes(), err
}

func decode(b []byte) (map[string]string, error) {
	var p payload
	err := gob.NewDecoder(bytes.NewReader(b)).Decode(&p)
	values := map[string]string{}
	for k, v := range p.Values {
		values[k], _ = v.(string)
	}
	return values, err
}

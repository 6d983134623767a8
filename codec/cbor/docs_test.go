package cbor_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/codec/cbor"
	"github.com/entsession/entsession/sessiontest"
)

// TestDocs: every snippet of docs/payloads.md is a part of this file, but for how far it is indented.
func TestDocs(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../../docs/payloads.md")
	require.NoError(t, err)
	source, err := os.ReadFile("docs_test.go")
	require.NoError(t, err)
	indent := regexp.MustCompile(`(?m)^\t+`)
	snippets := regexp.MustCompile("(?s)```go\n(.*?)```\n").FindAllStringSubmatch(string(doc), -1)
	require.Len(t, snippets, strings.Count(string(doc), "```go"))
	for _, s := range snippets {
		require.Contains(t, indent.ReplaceAllString(string(source), ""), indent.ReplaceAllString(s[1], ""))
	}
}

func TestDocsUpgrade(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	store := sessiontest.New(t)

	type Cart struct{ Items map[string]int } // it was a []string

	carts := entsession.Typed[Cart]{Store: store, Payload: entsession.Payload[Cart]{
		Version: 1,
		Upgrade: func(version int, data []byte) (Cart, error) {
			if version != 0 { // 0: it was written without one
				return Cart{}, fmt.Errorf("version %d is not known", version)
			}
			var was struct{ Items []string }
			if err := json.Unmarshal(data, &was); err != nil {
				return Cart{}, err
			}
			cart := Cart{Items: map[string]int{}}
			for _, item := range was.Items {
				cart.Items[item]++
			}
			return cart, nil
		},
	}}

	id := sessiontest.SignInWith(t, store, "ann", []byte(`{"Items":["tea","tea"]}`)).Value
	s, err := carts.Load(ctx, id)
	require.NoError(t, err)
	require.Equal(t, map[string]int{"tea": 2}, s.Value.Items)
	require.NoError(t, cases(ctx, carts, id))
	require.ErrorIs(t, cases(ctx, carts, "none"), entsession.ErrNotFound)
	id = sessiontest.SignInWith(t, store, "ann", []byte(`#v2 {}`)).Value
	require.ErrorIs(t, cases(ctx, carts, id), entsession.ErrPayload)
}

func cases[Cart any](ctx context.Context, carts entsession.Typed[Cart], id string) error {
	s, err := carts.Load(ctx, id)
	switch {
	case errors.Is(err, entsession.ErrNotFound): // nobody is signed in
	case errors.Is(err, entsession.ErrPayload): // someone is, and another version of the program can read it
	case err != nil: // the database's
	}
	_ = s
	return err
}

type zipped struct{}

func (zipped) Marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	err := errors.Join(json.NewEncoder(w).Encode(v), w.Close())
	return b.Bytes(), err
}

func (zipped) Unmarshal(data []byte, v any) error {
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return err
	}
	return json.NewDecoder(r).Decode(v)
}

func TestDocsCodecs(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	store := sessiontest.New(t)
	type Cart struct{ Items []string }
	carts := entsession.Typed[Cart]{Store: store, Payload: entsession.Payload[Cart]{Codec: cbor.Codec{}}}
	for _, c := range []entsession.Codec{cbor.Codec{}, zipped{}} {
		carts.Payload.Codec = c
		s, err := carts.Create(ctx, Cart{Items: []string{"tea"}})
		require.NoError(t, err)
		s, err = carts.Load(ctx, s.ID())
		require.NoError(t, err)
		require.Equal(t, []string{"tea"}, s.Value.Items)
	}
}

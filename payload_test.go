package entsession_test

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/codec"
	"github.com/entsession/entsession/ent/session"
	"github.com/entsession/entsession/sessiontest"
)

// Two versions of what a program keeps.
type (
	basketV1 struct{ Items []string }
	basketV2 struct{ Items map[string]int }
)

// upgrade is what the second version does with the first's.
func upgrade(version int, data []byte) (basketV2, error) {
	out := basketV2{Items: map[string]int{}}
	var was basketV1
	switch version {
	case 0, 1:
		if err := json.Unmarshal(data, &was); err != nil {
			return out, err
		}
	default:
		return out, errors.New("not known")
	}
	for _, item := range was.Items {
		out.Items[item]++
	}
	return out, nil
}

// TestPayloadUpgrade: payloads without a version and of an older one, and a deployment during which both programs run.
func TestPayloadUpgrade(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	store := sessiontest.New(t)
	stored := func(s *entsession.Session) string {
		got, err := store.Load(ctx, s.ID())
		require.NoError(t, err)
		return string(got.Data)
	}
	ancient := entsession.Typed[basketV1]{Store: store}
	v1 := entsession.Typed[basketV1]{Store: store, Payload: entsession.Payload[basketV1]{Version: 1}}
	v2 := entsession.Typed[basketV2]{Store: store, Payload: entsession.Payload[basketV2]{Version: 2, Upgrade: upgrade}}
	ready := entsession.Typed[basketV1]{Store: store, Payload: entsession.Payload[basketV1]{ // reads what is to come
		Version: 1,
		Upgrade: func(version int, data []byte) (out basketV1, err error) {
			if version == 0 {
				return out, json.Unmarshal(data, &out)
			}
			require.Equal(t, 2, version)
			var is basketV2
			err = json.Unmarshal(data, &is)
			for item := range is.Items {
				out.Items = append(out.Items, item)
			}
			return out, err
		},
	}}

	old, err := ancient.Create(ctx, basketV1{[]string{"tea"}})
	require.NoError(t, err)
	require.Equal(t, `{"Items":["tea"]}`, stored(old.Session))
	first, err := v1.Load(ctx, old.ID())
	require.NoError(t, err, "one without a version is decoded like a current one")
	require.Equal(t, []string{"tea"}, first.Value.Items)
	require.NoError(t, v1.Save(ctx, first))
	require.Equal(t, `#v1 {"Items":["tea"]}`, stored(old.Session))

	second, err := v2.Update(ctx, old.ID(), func(s *entsession.TypedSession[basketV2]) error {
		require.Equal(t, map[string]int{"tea": 1}, s.Value.Items)
		s.Value.Items["milk"]++
		return nil
	})
	require.NoError(t, err)
	now := `#v2 {"Items":{"milk":1,"tea":1}}`
	require.Equal(t, now, stored(old.Session))

	// The older programs that are still running neither read it, nor write over it, nor end the session.
	for _, typed := range []entsession.Typed[basketV1]{ancient, v1, {Store: store, Payload: entsession.Payload[basketV1]{Drop: true}}} {
		_, err = typed.Load(ctx, old.ID())
		require.ErrorIs(t, err, entsession.ErrPayload)
		require.ErrorContains(t, err, "version 2 is newer")
		require.NotContains(t, err.Error(), "milk")
		_, err = typed.Update(ctx, old.ID(), func(*entsession.TypedSession[basketV1]) error { t.Error("called"); return nil })
		require.ErrorIs(t, err, entsession.ErrPayload)
		_, err = typed.Rotate(ctx, old.ID())
		require.ErrorIs(t, err, entsession.ErrPayload)
		require.ErrorIs(t, typed.Save(ctx, first), entsession.ErrConflict)
		require.NoError(t, typed.Touch(ctx, old.ID()))
		for s, err := range typed.List(ctx) {
			require.ErrorIs(t, err, entsession.ErrPayload)
			require.Equal(t, old.Key(), s.Key())
		}
		require.Equal(t, now, stored(old.Session))
	}
	back, err := ready.Load(ctx, old.ID())
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"milk", "tea"}, back.Value.Items)
	second, err = v2.Rotate(ctx, second.ID())
	require.NoError(t, err)
	require.Equal(t, map[string]int{"milk": 1, "tea": 1}, second.Value.Items)

	raw, err := ancient.Create(ctx, basketV1{[]string{"salt", "salt"}})
	require.NoError(t, err)
	got, err := v2.Load(ctx, raw.ID())
	require.NoError(t, err)
	require.Equal(t, map[string]int{"salt": 2}, got.Value.Items, "without a version")
	require.Equal(t, `{"Items":["salt","salt"]}`, stored(raw.Session), "until it is saved")
}

// TestPayloadDrop: what no longer decodes costs the payload, and not the sign-in.
func TestPayloadDrop(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	store := sessiontest.New(t)
	drop := entsession.Typed[basketV2]{Store: store, Payload: entsession.Payload[basketV2]{Version: 2, Drop: true}}
	for name, change := range map[string]func(id string) (*entsession.TypedSession[basketV2], error){
		"Save": func(id string) (*entsession.TypedSession[basketV2], error) {
			s, err := drop.Load(ctx, id)
			require.NoError(t, err)
			require.ErrorIs(t, s.Dropped, entsession.ErrPayload)
			require.Zero(t, s.Value, "and not the half of it")
			return s, drop.Save(ctx, s)
		},
		"Update": func(id string) (*entsession.TypedSession[basketV2], error) {
			return drop.Update(ctx, id, func(s *entsession.TypedSession[basketV2]) error {
				require.ErrorIs(t, s.Dropped, entsession.ErrPayload)
				require.Zero(t, s.Value)
				return nil
			})
		},
	} {
		for _, data := range []string{`{"Items":["tea"]}`, `#v1 {"Items":["tea"]}`, "no JSON", `#v2 {"Items":{"tea":1,"milk":"x"}}`} {
			cookie := sessiontest.SignInWith(t, store, name, []byte(data))
			changed, err := change(cookie.Value)
			require.NoError(t, err)
			require.NoError(t, changed.Dropped, "it was written")
			s, err := drop.Load(ctx, cookie.Value)
			require.NoError(t, err)
			require.NoError(t, s.Dropped)
			require.Equal(t, `#v2 {"Items":null}`, string(s.Data))
			subject, err := entsession.Get[string](s.Session, session.FieldSubject)
			require.NoError(t, err)
			require.Equal(t, name, subject, "still signed in")
		}
	}
	refuses := drop
	refuses.Payload.Upgrade = func(int, []byte) (basketV2, error) { return basketV2{Items: map[string]int{"x": 1}}, errors.New("no") }
	for data, dropped := range map[string]bool{`#v1 {}`: true, `{}`: true, `#v3 {}`: false} {
		cookie := sessiontest.SignInWith(t, store, "", []byte(data))
		s, err := refuses.Load(ctx, cookie.Value)
		if dropped {
			require.NoError(t, err)
			require.Error(t, s.Dropped)
			require.Zero(t, s.Value)
		} else {
			require.ErrorIs(t, err, entsession.ErrPayload, "what a newer program wrote is never dropped")
		}
	}
}

// rawCodec keeps text as it is.
type rawCodec struct{}

func (rawCodec) Marshal(v any) ([]byte, error) { return []byte(v.(string)), nil }

func (rawCodec) Unmarshal(data []byte, v any) error {
	*v.(*string) = string(data)
	return nil
}

func TestPayloadCodecs(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	store := sessiontest.New(t)
	for name, c := range map[string]entsession.Codec{"default": nil, "json": codec.JSON{}, "gob": codec.Gob{}} {
		for _, version := range []int{0, 1, math.MaxInt32} {
			baskets := entsession.Typed[*basketV2]{Store: store, Payload: entsession.Payload[*basketV2]{Codec: c, Version: version}}
			for _, want := range []*basketV2{{Items: map[string]int{"tea": 1, "ü\x00": 2}}, nil} {
				s, err := baskets.Create(ctx, want)
				require.NoError(t, err, name)
				s, err = baskets.Load(ctx, s.ID())
				require.NoError(t, err, name)
				require.Equal(t, want, s.Value, name)
			}
		}
		if c == nil {
			continue
		}
		data, err := c.Marshal(basketV1{[]string{"tea"}})
		require.NoError(t, err)
		require.Error(t, c.Unmarshal(append(data, data...), new(basketV1)), "more than one")
		require.Error(t, c.Unmarshal(append([]byte("#v1 "), data...), new(basketV1)))
		_, err = entsession.Payload[chan int]{Codec: c}.Encode(make(chan int))
		require.ErrorContains(t, err, "chan int")
	}

	// The application's own codec may make anything, also what looks like a version.
	for _, version := range []int{0, 7} {
		p := entsession.Payload[string]{Codec: rawCodec{}, Version: version}
		for _, want := range []string{"", "x", "#v", "#v1", "#v1 x", "#v0 x", "#v01 x", "#v+1 x", "#v2147483648 x", "#v99999999999 x", "#v #v1 x", "#v7 #v7 x"} {
			data, err := p.Encode(want)
			require.NoError(t, err)
			got, err := p.Decode(data)
			require.NoError(t, err)
			require.Equal(t, want, got)
			if version == 0 && want != "#v1 x" && want != "#v0 x" && want != "#v7 #v7 x" {
				require.Equal(t, want, string(data), "as it is")
			}
		}
	}
	for _, version := range []int{-1, math.MaxInt32 + 1} {
		p := entsession.Payload[string]{Version: version}
		_, err := p.Encode("")
		require.ErrorContains(t, err, "Payload.Version")
		_, err = p.Decode([]byte("x"))
		require.ErrorContains(t, err, "Payload.Version")
	}
}

// FuzzDecode: whatever is in the table is a value or an error, with any codec, and what is encoded decodes.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{"", "{}", `{"Items":{"tea":1}}`, `#v1 {}`, `#v2 {"Items":null}`, "#v3 x", "#v2147483648 x", "\x0d\x7f\x04", strings.Repeat("[", 20000)} {
		f.Add([]byte(seed))
	}
	if data, err := (codec.Gob{}).Marshal(basketV2{Items: map[string]int{"tea": 1}}); err == nil {
		f.Add(data)
		f.Add(append([]byte("#v2 "), data...))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, c := range []entsession.Codec{nil, codec.Gob{}} {
			for _, version := range []int{0, 2} {
				for _, up := range []func(int, []byte) (basketV2, error){nil, upgrade} {
					p := entsession.Payload[basketV2]{Codec: c, Version: version, Upgrade: up}
					value, err := p.Decode(data)
					if err != nil {
						require.ErrorIs(t, err, entsession.ErrPayload)
						require.Zero(t, value)
						continue
					}
					again, err := p.Encode(value)
					require.NoError(t, err)
					got, err := p.Decode(again)
					require.NoError(t, err)
					require.Equal(t, len(value.Items), len(got.Items))
				}
			}
		}
		raw := entsession.Payload[string]{Codec: rawCodec{}}
		text, err := raw.Encode(string(data))
		require.NoError(t, err)
		back, err := raw.Decode(text)
		require.NoError(t, err)
		require.Equal(t, string(data), back)
	})
}

package entsession

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
)

// Codec turns values into payloads and back: package codec has some, and encoding/json's functions are what it looks like. Unmarshal is given a pointer, and whatever is in
// the table: it must give an error for what it can't read.
type Codec interface {
	Marshal(v any) ([]byte, error)
	Unmarshal(data []byte, v any) error
}

// ErrPayload means that a payload does not decode. The session stays as it is: answer with an error, and it is there for a program that can read it.
var ErrPayload = errors.New("entsession: the payload does not decode")

// Payload says how a T is kept, and what becomes of payloads that other versions of the program have written. The zero value keeps it as JSON, without a version.
//
//	entsession.Payload[Cart]{Version: 2, Upgrade: func(version int, data []byte) (Cart, error) { … }}
type Payload[T any] struct {
	// Codec defaults to JSON.
	Codec Codec

	// Version of the payloads that this program writes: raise it when T changes so much that older ones no longer decode. It goes in front of the payload, as
	// "#v2 "; with 0, the default, nothing does.
	Version int

	// Upgrade makes a T of a payload of another version: 0 for one without, greater than Version for that of a newer program, while both are running. The next Save
	// writes it as the current version. It must not change data.
	//
	// Without it, an older payload is decoded like a current one, and a newer one is ErrPayload: a Save would lose what only the newer program knows.
	Upgrade func(version int, data []byte) (T, error)

	// Drop takes a payload that does not decode for an empty one: the session goes on with its columns and the zero T, and the next Save writes that. A newer
	// version's is never dropped. By default it is ErrPayload, and stays.
	Drop bool
}

// Encode gives the payload of a value.
func (p Payload[T]) Encode(value T) ([]byte, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	name, marshal := "JSON", json.Marshal
	if p.Codec != nil {
		name, marshal = fmt.Sprintf("%T", p.Codec), p.Codec.Marshal
	}
	data, err := marshal(value)
	if err != nil {
		return nil, fmt.Errorf("entsession: encoding a %T as %s: %w", value, name, err)
	}
	if _, _, begins := cutVersion(data); p.Version == 0 && !begins {
		return data, nil
	}
	return append(fmt.Appendf(nil, "#v%d ", p.Version), data...), nil
}

// Decode gives the value of a payload; that of an empty one is the zero T. What does not decode is ErrPayload, whether Drop is set or not.
func (p Payload[T]) Decode(data []byte) (T, error) {
	value, _, err := p.decode(data)
	return value, err
}

// decode also tells whether the payload may be dropped, if it does not decode.
func (p Payload[T]) decode(data []byte) (value T, drop bool, err error) {
	if err := p.check(); err != nil {
		return value, false, err
	}
	if len(data) == 0 { // a session made by something else may have none yet
		return value, false, nil
	}
	version, rest, _ := cutVersion(data)
	switch {
	case version != p.Version && p.Upgrade != nil:
		if value, err = p.Upgrade(version, rest); err != nil {
			err = undecoded(value, fmt.Errorf("upgrading version %d to %d: %w", version, p.Version, err))
		}
	case version > p.Version:
		err = undecoded(value, fmt.Errorf("its version %d is newer than this program's, which is %d", version, p.Version))
	case len(rest) == 0:
	default:
		unmarshal := json.Unmarshal
		if p.Codec != nil {
			unmarshal = p.Codec.Unmarshal
		}
		if err = unmarshal(rest, &value); err != nil {
			err = undecoded(value, err)
		}
	}
	if err != nil {
		var zero T // and not the half of it
		return zero, p.Drop && version <= p.Version, err
	}
	return value, false, nil
}

func (p Payload[T]) check() error {
	if p.Version < 0 || p.Version > math.MaxInt32 {
		return fmt.Errorf("entsession: Payload.Version: %d: must be from 0 to %d", p.Version, math.MaxInt32)
	}
	return nil
}

func undecoded[T any](value T, err error) error {
	return fmt.Errorf("%w as a %T: %w", ErrPayload, value, err)
}

// cutVersion takes "#v2 " from the front of a payload. Nothing that JSON, gob, CBOR or MessagePack make of anything begins like this.
func cutVersion(data []byte) (version int, rest []byte, found bool) {
	after, ok := bytes.CutPrefix(data, []byte("#v"))
	if !ok {
		return 0, data, false
	}
	digits, _, ok := bytes.Cut(after[:min(len(after), 11)], []byte(" ")) // at most 10 digits
	n, err := strconv.ParseUint(string(digits), 10, 31)
	if !ok || err != nil || string(digits) != strconv.FormatUint(n, 10) {
		return 0, data, false
	}
	return int(n), after[len(digits)+1:], true
}

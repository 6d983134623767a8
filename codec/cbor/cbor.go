// Package cbor keeps payloads as CBOR (RFC 8949), by github.com/fxamacker/cbor: a binary form of what JSON says, with byte strings of its own. It is a module of its own
// for that dependency.
//
//	carts := entsession.Typed[Cart]{Store: store, Payload: entsession.Payload[Cart]{Codec: cbor.Codec{}}}
package cbor

import (
	"fmt"
	"reflect"

	"github.com/fxamacker/cbor/v2"

	"github.com/entsession/entsession"
)

// Codec is an entsession.Codec. It goes by the struct tags "cbor", or else "json". Times keep their nanoseconds, and maps within an any come back as map[string]any.
type Codec struct{}

var _ entsession.Codec = Codec{}

var encoding, decoding, broken = modes()

func modes() (cbor.EncMode, cbor.DecMode, error) {
	options := cbor.CoreDetEncOptions() // one payload for equal values
	options.Time = cbor.TimeRFC3339NanoUTC
	enc, err := options.EncMode()
	if err != nil {
		return nil, nil, err
	}
	dec, err := cbor.DecOptions{DefaultMapType: reflect.TypeFor[map[string]any](), DupMapKey: cbor.DupMapKeyEnforcedAPF}.DecMode()
	return enc, dec, err
}

// Marshal implements entsession.Codec.
func (Codec) Marshal(v any) ([]byte, error) {
	if broken != nil {
		return nil, fmt.Errorf("cbor: %w", broken)
	}
	return encoding.Marshal(v)
}

// Unmarshal implements entsession.Codec.
func (Codec) Unmarshal(data []byte, v any) error {
	if broken != nil {
		return fmt.Errorf("cbor: %w", broken)
	}
	return decoding.Unmarshal(data, v)
}

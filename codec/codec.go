// Package codec has codecs for entsession.Payload. CBOR is in codec/cbor, a module of its own. See docs/payloads.md.
package codec

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"errors"
	"reflect"
)

// JSON is encoding/json: readable in the database's own tools and by other programs, and what entsession.Payload takes by default.
type JSON struct{}

// Marshal implements entsession.Codec.
func (JSON) Marshal(v any) ([]byte, error) { return json.Marshal(v) }

// Unmarshal implements entsession.Codec.
func (JSON) Unmarshal(data []byte, v any) error { return json.Unmarshal(data, v) }

// Gob is encoding/gob: for what JSON doesn't take, such as values of any type that is registered with gob.Register. Every payload describes its types, which takes some
// hundred bytes.
type Gob struct{}

// Marshal implements entsession.Codec. A nil pointer has an empty payload.
func (Gob) Marshal(v any) ([]byte, error) {
	if value := reflect.ValueOf(v); value.Kind() == reflect.Pointer && value.IsNil() { // gob panics
		return nil, nil
	}
	var b bytes.Buffer
	err := gob.NewEncoder(&b).Encode(v)
	return b.Bytes(), err
}

// Unmarshal implements entsession.Codec.
func (Gob) Unmarshal(data []byte, v any) error {
	r := bytes.NewReader(data)
	if err := gob.NewDecoder(r).Decode(v); err != nil {
		return err
	}
	if r.Len() > 0 {
		return errors.New("there is more than one value")
	}
	return nil
}

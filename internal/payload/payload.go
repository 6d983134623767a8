// Package payload turns a payload into the text of the data column and back.
//
// UTF-8 text without NUL is stored as it is, so that JSON stays readable in the database's own tools; anything else as a marker and
// base64. Text that begins with the marker is base64 too, or it could not be told apart.
package payload

import (
	"bytes"
	"encoding/base64"
	"unicode/utf8"
)

const marker = "b64:"

// Encode gives the text to store. An empty payload is an empty text.
func Encode(data []byte) string {
	if readable(data) {
		return string(data)
	}
	return Opaque(data)
}

// Opaque gives the base64 form whatever the payload is: for a column whose character set lacks some of its characters.
func Opaque(data []byte) string {
	return marker + base64.StdEncoding.EncodeToString(data)
}

// Decode gives the payload of a stored text, which may be of another writer's: what only looks like our own form is
// returned as it is. It may reuse text.
func Decode(text []byte) []byte {
	if len(text) < len(marker) || string(text[:len(marker)]) != marker {
		return text
	}
	out := make([]byte, base64.StdEncoding.DecodedLen(len(text)-len(marker)))
	n, err := base64.StdEncoding.Strict().Decode(out, text[len(marker):])
	if err != nil {
		return text
	}
	return out[:n]
}

func readable(data []byte) bool {
	return utf8.Valid(data) && bytes.IndexByte(data, 0) < 0 && !bytes.HasPrefix(data, []byte(marker))
}

package entsession

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"

	"github.com/entsession/entsession/mixin"
)

// idBytes is 256 bits: OWASP asks for at least 64 bits of entropy in a session id, and this leaves no room for guessing.
const idBytes = 32

// ref says which session: by its secret and by its stored form. It sits behind a pointer in a Session, so that
// printing one, whatever the verb, shows an address and no secret.
type ref struct {
	id  string // what the client holds; "" when only the stored form is known
	key string // what the id column holds
}

// newID draws the id of a new session. crypto/rand.Read never fails (it ends the program instead).
func newID() string {
	var b [idBytes]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// newVersion draws the token of a write: positive, so that it never equals the column's default, and 63 bits, so that two
// writes of one row never share it in practice.
func newVersion() int64 {
	var b [8]byte
	rand.Read(b[:])
	return int64(binary.LittleEndian.Uint64(b[:])>>1) | 1
}

// lookup makes the ref of a client's id. An id that cannot be one is reported as such without asking the database: printable ASCII
// without blanks, as long as the column is wide.
func (s *Store) lookup(id string) (*ref, bool) {
	if id == "" || len(id) > mixin.IDSize {
		return nil, false
	}
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' {
			return nil, false
		}
	}
	return &ref{id: id, key: s.key(id)}, true
}

// key is the stored form of an id.
func (s *Store) key(id string) string {
	if s.cfg.PlainIDs {
		return id
	}
	var secret [mixin.IDSize]byte // on the stack
	sum := sha256.Sum256(append(secret[:0], id...))
	var text [43]byte // what 32 bytes come to
	base64.RawURLEncoding.Encode(text[:], sum[:])
	return string(text[:])
}

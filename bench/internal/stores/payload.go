package stores

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
)

// Payload makes size bytes of the kind that sessions hold: JSON of short fields, which a database that compresses long
// values can make smaller, though not to nothing.
func Payload(size int) []byte {
	r := rand.New(rand.NewPCG(1, uint64(size)))
	b := fmt.Appendf(nil, `{"change":"%016x","user":%d,"cart":[`, 0, 100000+r.IntN(900000))
	for len(b) < size {
		b = fmt.Appendf(b, `{"sku":"%08x","quantity":%d,"price":%d,"title":"%s"},`,
			r.Uint32(), 1+r.IntN(9), r.IntN(100000), titles[r.IntN(len(titles))])
	}
	b = b[:size]
	copy(b[size-2:], "]}") // no parser reads it
	return b
}

var titles = []string{"Kettle, steel, 1.7 l", "Notebook, dotted, A5", "Desk lamp with dimmer", "Cable, 2 m", "Mug, blue", "Chair mat 90x120"}

const changeAt = len(`{"change":"`)

// Change makes the payload differ from what it was, in place and without cost.
func Change(payload []byte, to uint64) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], to)
	hex.Encode(payload[changeAt:changeAt+16], b[:])
}

// MinPayload is the shortest that has room for the change.
const MinPayload = changeAt + 16 + len(`"}`)

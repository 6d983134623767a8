package adopting

import (
	"github.com/gorilla/securecookie"

	"github.com/entsession/entsession/gorillastore"
)

// fromGormstore is a gorillastore.Serializer that also reads what gormstore has written: values signed as a cookie is.
type fromGormstore struct {
	gorillastore.Gob
	name   string // of the session
	codecs []securecookie.Codec
}

func (s fromGormstore) Deserialize(data []byte) (map[any]any, error) {
	values := map[any]any{}
	if securecookie.DecodeMulti(s.name, string(data), &values, s.codecs...) == nil {
		return values, nil
	}
	return s.Gob.Deserialize(data)
}

// Package merge brings together what two requests made of the same session.
package merge

import (
	"maps"
	"reflect"
)

// Maps applies to theirs what mine changed since base, key by key: what was set, changed or deleted. Where both changed a key, mine wins.
func Maps[K comparable](base, mine, theirs map[K]any) map[K]any {
	out := maps.Clone(theirs)
	if out == nil {
		out = map[K]any{}
	}
	for k := range base {
		if _, ok := mine[k]; !ok {
			delete(out, k)
		}
	}
	for k, v := range mine {
		if was, ok := base[k]; !ok || !reflect.DeepEqual(was, v) {
			out[k] = v
		}
	}
	return out
}

package merge_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/internal/merge"
)

func TestMaps(t *testing.T) {
	t.Parallel()
	type values = map[string]any
	for name, c := range map[string]struct{ base, mine, theirs, want values }{
		"nothing":            {nil, nil, nil, values{}},
		"both add":           {values{"a": 1}, values{"a": 1, "b": 2}, values{"a": 1, "c": 3}, values{"a": 1, "b": 2, "c": 3}},
		"mine deletes":       {values{"a": 1, "b": 2}, values{"b": 2}, values{"a": 1, "b": 3}, values{"b": 3}},
		"theirs deletes":     {values{"a": 1, "b": 2}, values{"a": 1, "b": 3}, values{"b": 2}, values{"b": 3}},
		"mine changes, gone": {values{"a": 1}, values{"a": 2}, values{}, values{"a": 2}},
		"both change":        {values{"a": 1}, values{"a": 2}, values{"a": 3}, values{"a": 2}},
		"deep, unchanged":    {values{"a": []int{1}}, values{"a": []int{1}}, values{"a": []int{2}}, values{"a": []int{2}}},
		"nil is a value":     {values{"a": nil}, values{"a": nil, "b": nil}, values{"a": 1}, values{"a": 1, "b": nil}},
	} {
		theirs := len(c.theirs)
		require.Equal(t, c.want, merge.Maps(c.base, c.mine, c.theirs), name)
		require.Len(t, c.theirs, theirs, "%s: the arguments stay as they are", name)
	}
}

package entsession

import (
	"slices"
	"testing"

	"entgo.io/ent/dialect"
	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/internal/batch"
	"github.com/entsession/entsession/internal/stmt"
)

// The keys of a batch are in one order and each there once: two batches that lock the same rows in different orders wait for each other, and
// a row can be written once in a statement.
func TestSorted(t *testing.T) {
	var calls []*batch.Call[writing]
	for i, key := range []string{"b", "a", "c", "b", "a", "b"} {
		calls = append(calls, &batch.Call[writing]{Val: writing{row: stmt.Row{Key: key, Version: int64(i)}}})
	}
	keys := func(calls []*batch.Call[writing]) (keys []string, versions []int64) {
		for _, c := range calls {
			keys, versions = append(keys, c.Val.row.Key), append(versions, c.Val.row.Version)
		}
		return keys, versions
	}
	unique, further := sorted(calls)
	k, v := keys(unique)
	require.Equal(t, []string{"a", "b", "c"}, k)
	require.Equal(t, []int64{1, 0, 2}, v, "whoever came first")
	k, v = keys(further)
	require.Equal(t, []string{"a", "b", "b"}, k)
	require.Equal(t, []int64{4, 3, 5}, v)
	k, _ = keys(calls)
	require.Equal(t, []string{"b", "a", "c", "b", "a", "b"}, k, "the batch itself is the lane's")
	for _, c := range further {
		require.Same(t, unique[map[string]int{"a": 0, "b": 1}[c.Val.row.Key]], ofKey(unique, c.Val.row.Key))
	}
}

// MySQL makes all values of a CASE one type: those of another kind go alone.
func TestAlike(t *testing.T) {
	var calls []*batch.Call[writing]
	for _, v := range []any{nil, "x", []byte("y"), "z", 1, nil} {
		calls = append(calls, &batch.Call[writing]{Val: writing{row: stmt.Row{Values: []any{v}}}})
	}
	all := slices.Clone(calls)
	left := alike(all, 1)
	require.Equal(t, []*batch.Call[writing]{calls[0], calls[1], calls[3], calls[5]}, left)
	require.Equal(t, calls, all, "the list of all is still needed")
	for i, c := range calls {
		require.Equal(t, i == 2 || i == 4, c.IsAlone(), i)
	}
}

// Of two first calls both may find that there are no lanes yet.
func TestNoLanes(t *testing.T) {
	set := stmt.New(&stmt.Table{Dialect: dialect.MySQL, Name: "sessions", PlainIDs: true}, stmt.Policy{})
	s := &Store{table: set.Table}
	require.Nil(t, set.Together(), "or this shows nothing")
	require.Nil(t, s.newLanes(set))
	require.Nil(t, s.newLanes(set))
	require.Nil(t, s.lanesFor(set))
}

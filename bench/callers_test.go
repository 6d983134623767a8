package main

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/bench/internal/stores"
)

// notes is a store that notes what callers do.
type notes struct {
	setup stores.Setup
	saved map[string]bool // payloads
	owner map[int]string  // of rows
	by    string
	loads int
	saves int
}

func (n *notes) Load(ctx context.Context, row int) ([]byte, error) {
	n.loads++
	if ctx.Done() == nil {
		return nil, fmt.Errorf("a context that can't be cancelled")
	}
	return n.setup.Payload, nil
}

func (n *notes) Save(ctx context.Context, row int, data []byte) error {
	n.saves++
	if n.saved[string(data)] || bytes.Equal(data, n.setup.Payload) {
		return fmt.Errorf("the payload was saved before")
	}
	n.saved[string(data)] = true
	if owner, taken := n.owner[row]; taken && owner != n.by {
		return fmt.Errorf("row %d is another caller's", row)
	}
	n.owner[row] = n.by
	return nil
}

func (n *notes) Close() error { return nil }

// TestCallers: every save has a payload of its own, no two callers save the same row, all rows are somebody's, and a mix is
// one save in five.
func TestCallers(t *testing.T) {
	t.Parallel()
	n := &notes{setup: stores.Setup{Rows: 10, Payload: stores.Payload(200)}, saved: map[string]bool{}, owner: map[int]string{}}
	for _, op := range []string{opSave, opMix, opLoad} {
		clear(n.owner)
		n.loads, n.saves = 0, 0
		calls, cancel := callers(t.Context(), n, n.setup, op, 3)
		for i, call := range calls {
			n.by = fmt.Sprint(i)
			for range 100 {
				require.NoError(t, call())
			}
		}
		cancel()
		want := map[string][2]int{opSave: {0, 300}, opMix: {240, 60}, opLoad: {300, 0}}[op]
		require.Equal(t, want, [2]int{n.loads, n.saves}, op)
		if op == opSave {
			require.Len(t, n.owner, n.setup.Rows)
		}
	}
}

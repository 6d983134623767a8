package entsession

import (
	"sync"
	"sync/atomic"
)

// hot are the keys of sessions whose rows this store holds locked for longer than a statement. A write to one of them waits for that, and is
// kept out of batches, where others would wait with it.
type hot struct {
	n    atomic.Int32 // of keys: nearly always none
	mu   sync.Mutex
	keys map[string]int
}

func (h *hot) add(key string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.keys == nil {
		h.keys = map[string]int{}
	}
	h.keys[key]++
	h.n.Add(1)
}

func (h *hot) remove(key string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.keys[key]--; h.keys[key] == 0 {
		delete(h.keys, key)
	}
	h.n.Add(-1)
}

func (h *hot) has(key string) bool {
	if h.n.Load() == 0 {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.keys[key] > 0
}

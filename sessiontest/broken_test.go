package sessiontest_test

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/sessiontest"
)

// brokenVar names what is wrong with the stores of TestBrokenStores.
const brokenVar = "ENTSESSION_TEST_BROKEN"

// TestSuitesFail: what the suites are there to find, they find. They run in another process, whose tests may fail.
func TestSuitesFail(t *testing.T) {
	t.Parallel()
	if os.Getenv(brokenVar) != "" {
		return // this is the other process
	}
	for wrong, want := range map[string][]string{
		"nothing": nil, // the stores are right but for what the others name
		"upsert": {
			"Adapter/DeletionUnderWay", "Adapter/DeletionAmongMany", "Adapter/Expiry",
			"Store/Deletion", "Store/DeletionAmongMany", "Store/Expiry", "Store/Rotation",
		},
		"overwrite": {"Adapter/Collision"},
		"visitors":  {"Adapter/NothingStored"},
		"lost":      {"Adapter/ParallelChanges", "Adapter/ManyChanges", "Store/Conflict"},
		"silent":    {"Adapter/Errors", "Store/Errors"},
		"adopt":     {"Adapter/Fixation", "Adapter/Unknown"},
		"eternal":   {"Adapter/Expiry", "Store/Expiry"},
		"twice":     {"Store/Updates", "Store/RoundTrip"},
		"oldID":     {"Store/Rotation"},
	} {
		t.Run(wrong, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(os.Args[0], "-test.run=^TestBrokenStores$", "-test.v")
			cmd.Env = append(os.Environ(), brokenVar+"="+wrong)
			out, err := cmd.CombinedOutput()
			require.Equal(t, len(want) > 0, err != nil, string(out))
			var failed []string
			for _, m := range regexp.MustCompile(`--- FAIL: TestBrokenStores/(\w+/\w+)`).FindAllStringSubmatch(string(out), -1) {
				failed = append(failed, m[1])
			}
			require.NotContains(t, string(out), "panic:")
			require.Subset(t, failed, want, string(out))
			if want == nil {
				require.Empty(t, failed)
			}
		})
	}
}

// TestBrokenStores is the other process.
func TestBrokenStores(t *testing.T) {
	wrong := os.Getenv(brokenVar)
	if wrong == "" {
		return
	}
	t.Run("Adapter", func(t *testing.T) {
		sessiontest.RunAdapter(t, func(*testing.T) sessiontest.Adapter { return newBroken(wrong).adapter() })
	})
	t.Run("Store", func(t *testing.T) {
		sessiontest.RunStore(t, func(*testing.T) sessiontest.Store { return newBroken(wrong).store() })
	})
}

// broken is a store in memory, with one thing wrong.
type broken struct {
	wrong string
	mu    sync.Mutex
	rows  map[string]*row
	fails error
}

// row is a session of either suite's.
type row struct {
	values  map[string]string
	data    []byte
	version int
}

var (
	errNone     = errors.New("there is no such session")
	errConflict = errors.New("changed since")
)

func newBroken(wrong string) *broken { return &broken{wrong: wrong, rows: map[string]*row{}} }

// begin locks the rows, if the database works.
func (b *broken) begin(ctx context.Context) error {
	b.mu.Lock()
	if err := errors.Join(b.fails, ctx.Err()); err != nil {
		b.mu.Unlock()
		return err
	}
	return nil
}

func (b *broken) breakIt(testing.TB) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fails = errors.New("the database is away")
}

func (b *broken) expire(_ testing.TB, id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.wrong != "eternal" {
		delete(b.rows, id)
	}
}

func (b *broken) remove(ctx context.Context, id string) error {
	if err := b.begin(ctx); err != nil {
		return err
	}
	defer b.mu.Unlock()
	if r, ok := b.rows[id]; ok && b.wrong != "eternal" {
		*r = row{version: -1} // for good: what is deleted has no version to be saved over
	}
	if b.wrong == "upsert" {
		delete(b.rows, id)
	}
	return nil
}

// live is under the lock.
func (b *broken) live(id string) *row {
	if r := b.rows[id]; r != nil && r.version >= 0 {
		return r
	}
	return nil
}

func (b *broken) adapter() sessiontest.Adapter {
	var versions sync.Map // of a request: its context -> version
	return sessiontest.Adapter{
		Create: func(ctx context.Context, id string, values map[string]string) (string, error) {
			if err := b.begin(ctx); err != nil {
				return "", err
			}
			defer b.mu.Unlock()
			if b.rows[id] != nil && b.wrong != "overwrite" {
				return "", errors.New("taken")
			}
			if len(values) == 0 && b.wrong != "visitors" {
				return id, nil
			}
			b.rows[id] = &row{values: maps.Clone(values)}
			return id, nil
		},
		Find: func(ctx context.Context, id string) (map[string]string, error) {
			if err := b.begin(ctx); err != nil {
				if b.wrong == "silent" {
					return nil, nil
				}
				return nil, err
			}
			defer b.mu.Unlock()
			r := b.live(id)
			if r == nil && b.wrong == "adopt" {
				r = &row{values: map[string]string{}}
				b.rows[id] = r
			}
			if r == nil {
				return nil, nil
			}
			versions.Store(ctx, r.version)
			return maps.Clone(r.values), nil
		},
		Save: func(ctx context.Context, id string, values map[string]string) error {
			if err := b.begin(ctx); err != nil {
				return err
			}
			defer b.mu.Unlock()
			r := b.live(id)
			if r == nil && b.wrong == "upsert" {
				r = &row{}
				b.rows[id] = r
			}
			if r == nil {
				return nil
			}
			if version, _ := versions.Load(ctx); version != r.version && b.wrong != "lost" && b.wrong != "upsert" {
				return errConflict
			}
			r.values, r.version = maps.Clone(values), r.version+1
			versions.Store(ctx, r.version)
			return nil
		},
		Delete: b.remove,
		Expire: b.expire,
		Rows: func(testing.TB) int {
			b.mu.Lock()
			defer b.mu.Unlock()
			n := 0
			for id := range b.rows {
				if b.live(id) != nil {
					n++
				}
			}
			return n
		},
		Break: b.breakIt,
	}
}

type held struct {
	id      string
	version int
}

func (b *broken) store() sessiontest.Store {
	// with works on a live row.
	with := func(ctx context.Context, id string, f func(*row) error) error {
		if err := b.begin(ctx); err != nil {
			if b.wrong == "silent" {
				return errNone
			}
			return err
		}
		defer b.mu.Unlock()
		r := b.live(id)
		if r == nil {
			return errNone
		}
		return f(r)
	}
	return sessiontest.Store{
		Create: func(ctx context.Context, data []byte) (string, error) {
			if err := b.begin(ctx); err != nil {
				return "", err
			}
			defer b.mu.Unlock()
			id := rand.Text()
			b.rows[id] = &row{data: slices.Clone(data)}
			return id, nil
		},
		Load: func(ctx context.Context, id string) (data []byte, h any, err error) {
			err = with(ctx, id, func(r *row) error {
				data, h = slices.Clone(r.data), &held{id, r.version}
				return nil
			})
			return data, h, err
		},
		Save: func(ctx context.Context, h any, data []byte) error {
			was := h.(*held)
			if b.wrong == "upsert" {
				if err := b.begin(ctx); err != nil {
					return err
				}
				if b.live(was.id) == nil {
					b.rows[was.id] = &row{}
				}
				b.mu.Unlock()
			}
			return with(ctx, was.id, func(r *row) error {
				if r.version != was.version && b.wrong != "lost" && b.wrong != "upsert" {
					return errConflict
				}
				r.data, r.version = slices.Clone(data), r.version+1
				was.version = r.version
				return nil
			})
		},
		Update: func(ctx context.Context, id string, f func([]byte) ([]byte, error)) error {
			return with(ctx, id, func(r *row) (err error) {
				data, err := f(slices.Clone(r.data))
				if b.wrong == "twice" && err == nil {
					data, err = f(data)
				}
				if err == nil {
					r.data, r.version = data, r.version+1
				}
				return err
			})
		},
		Touch: func(ctx context.Context, id string) error { return with(ctx, id, func(*row) error { return nil }) },
		Rotate: func(ctx context.Context, id string) (fresh string, err error) {
			err = with(ctx, id, func(r *row) error {
				fresh = rand.Text()
				moved := *r
				b.rows[fresh] = &moved
				if b.wrong != "oldID" {
					delete(b.rows, id)
				}
				return nil
			})
			return fresh, err
		},
		Delete:   b.remove,
		NotFound: errNone,
		Conflict: errConflict,
		Expire:   b.expire,
		Break:    b.breakIt,
	}
}

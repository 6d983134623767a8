package sessiontest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/entsession/entsession"
)

// Store is what RunStore checks: a store's methods, as functions. What wraps an *entsession.Store begins with Methods, and puts its own in place of some.
type Store struct {
	Create func(ctx context.Context, data []byte) (id string, err error)
	// Load gives a session's payload, and what Save takes for it.
	Load func(ctx context.Context, id string) (data []byte, held any, err error)
	// Save writes a session over what was loaded; if that was changed since, it is a Conflict. Nil if the store has none.
	Save func(ctx context.Context, held any, data []byte) error
	// Update applies a function to the payload, exactly once. Nil if the store has none.
	Update func(ctx context.Context, id string, f func([]byte) ([]byte, error)) error
	// Touch renews. Nil if the store has none.
	Touch func(ctx context.Context, id string) error
	// Rotate gives a session a new id. Nil if the store has none.
	Rotate func(ctx context.Context, id string) (string, error)
	// Delete ends a session. An id that is unknown is no error.
	Delete func(ctx context.Context, id string) error

	// NotFound is the error for an id that is unknown, expired, revoked or malformed, and Conflict that of a Save that was refused.
	NotFound, Conflict error

	// Expire lets the timeout of a session pass. Without it, expiry is not checked.
	Expire func(t testing.TB, id string)
	// Break makes the database fail from then on. Without it, it is not checked that errors are passed on.
	Break func(t testing.TB)
}

// Methods are those of a store. Break closes it.
func Methods(store *entsession.Store) Store {
	return Store{
		Create: func(ctx context.Context, data []byte) (string, error) {
			s, err := store.Create(ctx, data)
			if err != nil {
				return "", err
			}
			return s.ID(), nil
		},
		Load: func(ctx context.Context, id string) ([]byte, any, error) {
			s, err := store.Load(ctx, id)
			if err != nil {
				return nil, nil, err
			}
			return s.Data, s, nil
		},
		Save: func(ctx context.Context, held any, data []byte) error {
			s, ok := held.(*entsession.Session)
			if !ok {
				return fmt.Errorf("sessiontest: Save was given a %T", held)
			}
			s.Data = data
			return store.Save(ctx, s)
		},
		Update: func(ctx context.Context, id string, f func([]byte) ([]byte, error)) error {
			_, err := store.Update(ctx, id, func(s *entsession.Session) (err error) {
				s.Data, err = f(s.Data)
				return err
			})
			return err
		},
		Touch: store.Touch,
		Rotate: func(ctx context.Context, id string) (string, error) {
			s, err := store.Rotate(ctx, id)
			if err != nil {
				return "", err
			}
			return s.ID(), nil
		},
		Delete:   store.Delete,
		NotFound: entsession.ErrNotFound,
		Conflict: entsession.ErrConflict,
		Expire:   func(t testing.TB, id string) { Expire(t, store, id) },
		Break: func(t testing.TB) {
			if err := store.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		},
	}
}

// RunStore checks what can be seen of a store's promises from outside. Open is called for each subtest, for an empty store.
func RunStore(t *testing.T, open func(t *testing.T) Store) {
	t.Helper()
	has := open(t) // what it has decides which tests there are
	for _, test := range []struct {
		name  string
		f     func(*storeTest)
		leave bool // out
	}{
		{"RoundTrip", (*storeTest).roundTrip, false},
		{"Unknown", (*storeTest).unknown, false},
		{"Deletion", (*storeTest).deletion, false},
		{"Rotation", (*storeTest).rotation, has.Rotate == nil},
		{"Expiry", (*storeTest).expiry, has.Expire == nil},
		{"Conflict", (*storeTest).conflict, has.Save == nil},
		{"Updates", (*storeTest).updates, has.Update == nil},
		{"DeletionAmongMany", (*storeTest).deletionAmongMany, false},
		{"Errors", (*storeTest).errors, false},
	} {
		if test.leave {
			continue
		}
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			ctx, end := context.WithTimeout(context.Background(), time.Minute)
			t.Cleanup(end)
			test.f(&storeTest{T: t, Store: open(t), ctx: ctx})
		})
	}
}

type storeTest struct {
	*testing.T
	Store
	ctx context.Context
}

func (t *storeTest) create(data string) string {
	t.Helper()
	id, err := t.Create(t.ctx, []byte(data))
	if err != nil || id == "" {
		t.Fatalf("Create: id of %d bytes, %v", len(id), err)
	}
	return id
}

func (t *storeTest) load(id string) any {
	t.Helper()
	_, held, err := t.Load(t.ctx, id)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return held
}

func (t *storeTest) is(id, want, when string) {
	t.Helper()
	data, _, err := t.Load(t.ctx, id)
	if err != nil {
		t.Fatalf("%s: Load: %v", when, err)
	}
	if string(data) != want {
		t.Fatalf("%s: loaded %q, want %q", when, data, want)
	}
}

// gone checks that an id leads nowhere, by any method. Held is what was loaded before it ended, or nil.
func (t *storeTest) gone(id string, held any, when string) {
	t.Helper()
	check := func(method string, err error) {
		t.Helper()
		if !errors.Is(err, t.NotFound) {
			t.Fatalf("%s: %s: %v, want %v", when, method, err, t.NotFound)
		}
	}
	for range 2 { // none of them brings it back
		_, _, err := t.Load(t.ctx, id)
		check("Load", err)
		if t.Save != nil && held != nil {
			check("Save", t.Save(t.ctx, held, []byte("late")))
		}
		if t.Update != nil {
			check("Update", t.Update(t.ctx, id, func([]byte) ([]byte, error) { return []byte("late"), nil }))
		}
		if t.Touch != nil {
			check("Touch", t.Touch(t.ctx, id))
		}
		if t.Rotate != nil {
			_, err := t.Rotate(t.ctx, id)
			check("Rotate", err)
		}
	}
}

func (t *storeTest) roundTrip() {
	ids := map[string]string{}
	for _, data := range []string{"", "x", `{"a":1}`, "\x00\xff ü", strings.Repeat("long ", 2000)} {
		id := t.create(data)
		if _, twice := ids[id]; twice {
			t.Fatal("two sessions under one id")
		}
		ids[id] = data
	}
	for id, data := range ids {
		t.is(id, data, "created")
		if t.Save != nil {
			if err := t.Save(t.ctx, t.load(id), []byte(data+"+")); err != nil {
				t.Fatalf("Save: %v", err)
			}
			data += "+"
		}
		if t.Update != nil {
			if err := t.Update(t.ctx, id, func(b []byte) ([]byte, error) { return append(b, '!'), nil }); err != nil {
				t.Fatalf("Update: %v", err)
			}
			data += "!"
			refused := errors.New("the function's own")
			if err := t.Update(t.ctx, id, func([]byte) ([]byte, error) { return []byte("never"), refused }); !errors.Is(err, refused) {
				t.Fatalf("Update whose function fails: %v", err)
			}
		}
		if t.Touch != nil {
			if err := t.Touch(t.ctx, id); err != nil {
				t.Fatalf("Touch: %v", err)
			}
		}
		t.is(id, data, "changed")
	}
}

func (t *storeTest) unknown() {
	for _, id := range []string{"", "unknown", rand.Text() + rand.Text(), "ü", "a b", "a\x00b", "'; DROP TABLE sessions; --", strings.Repeat("x", 5000)} {
		t.gone(id, nil, fmt.Sprintf("id %.20q", id))
		if err := t.Delete(t.ctx, id); err != nil {
			t.Fatalf("Delete of the unknown id %.20q: %v", id, err)
		}
		t.gone(id, nil, fmt.Sprintf("deleted id %.20q", id))
	}
}

func (t *storeTest) deletion() {
	id, other := t.create("x"), t.create("other")
	held := t.load(id)
	for range 2 {
		if err := t.Delete(t.ctx, id); err != nil {
			t.Fatalf("Delete: %v", err)
		}
	}
	t.gone(id, held, "deleted")
	t.is(other, "other", "another's deletion")
}

func (t *storeTest) rotation() {
	id := t.create("x")
	held := t.load(id)
	fresh, err := t.Rotate(t.ctx, id)
	if err != nil {
		t.Fatalf("Rotate: %v", err)
	}
	if fresh == id {
		t.Fatal("Rotate gave the same id")
	}
	t.is(fresh, "x", "rotated")
	t.gone(id, held, "rotated away")
	t.is(fresh, "x", "rotated, and its old id used again")
}

func (t *storeTest) expiry() {
	id, other := t.create("x"), t.create("other")
	held := t.load(id)
	t.Store.Expire(t, id)
	t.gone(id, held, "expired")
	t.is(other, "other", "another's expiry")
}

func (t *storeTest) conflict() {
	id := t.create("0")
	first, second := t.load(id), t.load(id)
	if err := t.Save(t.ctx, first, []byte("first")); err != nil {
		t.Fatalf("Save: %v", err)
	}
	if err := t.Save(t.ctx, second, []byte("second")); !errors.Is(err, t.Conflict) {
		t.Fatalf("Save of what was changed since: %v, want %v", err, t.Conflict)
	}
	t.is(id, "first", "the second was refused")
	if err := t.Save(t.ctx, first, []byte("again")); err != nil {
		t.Fatalf("Save again: %v", err)
	}
	t.is(id, "again", "saved again")
}

func (t *storeTest) updates() {
	const callers, each = 8, 10
	id := t.create("")
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for range each {
				if err := t.Update(t.ctx, id, func(b []byte) ([]byte, error) { return append(b[:len(b):len(b)], 'x'), nil }); err != nil {
					t.Errorf("Update: %v", err)
				}
			}
		})
	}
	all.Wait()
	t.is(id, strings.Repeat("x", callers*each), "each update counts once")
}

// deletionAmongMany: what was under way when a session was deleted doesn't bring it back.
func (t *storeTest) deletionAmongMany() {
	for range 3 {
		id := t.create("0")
		var writers sync.WaitGroup
		var deleted atomic.Bool
		returned := make(chan struct{})
		started := make(chan struct{}, 8)
		for w := range cap(started) {
			writers.Go(func() {
				for n := 0; ; n++ {
					late := deleted.Load()
					_, held, err := t.Load(t.ctx, id)
					if n == 0 {
						started <- struct{}{}
					}
					if n == 0 && w <= 2 { // one of each kind comes late for certain
						<-returned
					}
					switch {
					case err != nil:
					case late:
						t.Error("the session was there again after it was deleted")
						return
					case w%3 == 0 && t.Update != nil:
						err = t.Update(t.ctx, id, func(b []byte) ([]byte, error) { return append(b[:len(b):len(b)], 'x'), nil })
					case w%3 == 1 && t.Touch != nil:
						err = t.Touch(t.ctx, id)
					case t.Save != nil:
						if err = t.Save(t.ctx, held, []byte("x")); errors.Is(err, t.Conflict) {
							err = nil
						}
					}
					if err != nil {
						if !errors.Is(err, t.NotFound) {
							t.Errorf("a writer: %v", err)
						}
						return
					}
				}
			})
		}
		for range cap(started) {
			<-started
		}
		if err := t.Delete(t.ctx, id); err != nil {
			t.Errorf("Delete: %v", err)
		}
		deleted.Store(true)
		close(returned)
		writers.Wait()
		t.gone(id, nil, "deleted while others wrote")
	}
}

// errors: a database that fails, or a call that was cancelled, says nothing of a session.
func (t *storeTest) errors() {
	id := t.create("x")
	held := t.load(id)
	failed := func(when string, ctx context.Context) {
		check := func(method string, err error) {
			if err == nil || errors.Is(err, t.NotFound) || errors.Is(err, t.Conflict) {
				t.Errorf("%s: %s: %v, want another error", when, method, err)
			}
		}
		_, err := t.Create(ctx, []byte("x"))
		check("Create", err)
		_, _, err = t.Load(ctx, id)
		check("Load", err)
		if t.Save != nil {
			check("Save", t.Save(ctx, held, []byte("y")))
		}
		if t.Update != nil {
			check("Update", t.Update(ctx, id, func([]byte) ([]byte, error) { return []byte("y"), nil }))
		}
		if t.Touch != nil {
			check("Touch", t.Touch(ctx, id))
		}
		if t.Rotate != nil {
			_, err = t.Rotate(ctx, id)
			check("Rotate", err)
		}
		check("Delete", t.Delete(ctx, id))
	}
	cancelled, cancel := context.WithCancel(t.ctx)
	cancel()
	failed("cancelled", cancelled)
	t.is(id, "x", "nothing was done in a call that was cancelled")
	if t.Break == nil {
		return
	}
	t.Break(t)
	failed("the database fails", t.ctx)
}

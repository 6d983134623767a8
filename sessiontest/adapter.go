package sessiontest

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// Adapter is what RunAdapter checks: what a session manager does with its store, as functions. A context stands for a request: it is that of the request's Find and
// Save, ends with the request, and has net/http's http.ServerContextKey.
//
// Values are those of a session, in whatever form the manager stores them. Ids are what the client sends.
type Adapter struct {
	// Create writes the first values of a new session, under an id that the manager drew, and gives the id under which the client finds it: the same unless
	// OwnIDs is set. Without values it writes nothing, and the id is not looked at.
	Create func(ctx context.Context, id string, values map[string]string) (string, error)
	// Find gives the values of a session; nil and no error if there is none under the id.
	Find func(ctx context.Context, id string) (map[string]string, error)
	// Save writes the values of a session which Find has found with the same context. If it has ended since, nothing must be written; whether
	// that is an error is the adapter's choice.
	Save func(ctx context.Context, id string, values map[string]string) error
	// Delete ends a session. An id that is unknown is no error.
	Delete func(ctx context.Context, id string) error

	// Expire lets the timeout of a session pass. Without it, expiry is not checked.
	Expire func(t testing.TB, id string)
	// Rows counts the live sessions. Without it, it is not checked that nobody makes a row that should not be.
	Rows func(t testing.TB) int
	// Break makes the database fail from then on. Without it, it is not checked that errors are passed on.
	Break func(t testing.TB)
	// Request makes the context of a request, if the manager has one of its own. Defaults to the one given.
	Request func(context.Context) context.Context

	// OwnIDs says that the adapter draws the ids, and not the manager.
	OwnIDs bool
	// NoRequests says that the manager doesn't tell the adapter which request it works for, so that nobody can tell a new session under an id that was found of late from
	// a change to that session.
	NoRequests bool
	// LastWriterWins says that of two requests which change a session at once the later one's values count, as a whole. Otherwise what both have set must be there, or
	// the later one must get an error.
	LastWriterWins bool
}

// RunAdapter checks what can be seen of an adapter's promises from outside. Open is called for each subtest, for an adapter on an empty store of its own.
func RunAdapter(t *testing.T, open func(t *testing.T) Adapter) {
	t.Helper()
	has := open(t) // what it has decides which tests there are
	for _, test := range []struct {
		name  string
		f     func(*adapterTest)
		leave bool // out
	}{
		{"RoundTrip", (*adapterTest).roundTrip, false},
		{"Unknown", (*adapterTest).unknown, false},
		{"Fixation", (*adapterTest).fixation, false},
		{"NothingStored", (*adapterTest).nothingStored, has.Rows == nil},
		{"Collision", (*adapterTest).collision, has.OwnIDs},
		{"Deletion", (*adapterTest).deletion, false},
		{"DeletionUnderWay", (*adapterTest).deletionUnderWay, false},
		{"DeletionAmongMany", (*adapterTest).deletionAmongMany, false},
		{"Expiry", (*adapterTest).expiry, has.Expire == nil},
		{"ParallelChanges", (*adapterTest).parallelChanges, false},
		{"ManyChanges", (*adapterTest).manyChanges, has.LastWriterWins},
		{"Errors", (*adapterTest).errors, has.Break == nil},
		{"Cancelled", (*adapterTest).cancelled, false},
	} {
		if test.leave {
			continue
		}
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.f(&adapterTest{T: t, Adapter: open(t)})
		})
	}
}

type adapterTest struct {
	*testing.T
	Adapter
}

// request gives the context of a request, which ends with the test or before.
func (t *adapterTest) request() (context.Context, context.CancelFunc) {
	ctx, end := context.WithCancel(context.WithValue(context.Background(), http.ServerContextKey, &http.Server{}))
	t.Cleanup(end)
	if t.Request != nil {
		ctx = t.Request(ctx)
	}
	return ctx, end
}

type values = map[string]string

// create makes a session in a request of its own.
func (t *adapterTest) create(v values) string {
	t.Helper()
	ctx, end := t.request()
	defer end()
	drawn := rand.Text()
	id, err := t.Create(ctx, drawn, v)
	if err != nil {
		t.Fatalf("Create: %v", err)
	}
	if !t.OwnIDs && id != drawn {
		t.Fatalf("Create gave another id than the manager drew")
	}
	if id == "" {
		t.Fatalf("Create gave no id")
	}
	return id
}

// is checks what a later request finds.
func (t *adapterTest) is(id string, want values, when string) {
	t.Helper()
	ctx, end := t.request()
	defer end()
	got, err := t.Find(ctx, id)
	if err != nil {
		t.Fatalf("%s: Find: %v", when, err)
	}
	if !maps.Equal(got, want) || (got == nil) != (want == nil) {
		t.Fatalf("%s: found %v, want %v", when, got, want)
	}
}

// find is the beginning of a request.
func (t *adapterTest) find(id string) (context.Context, context.CancelFunc, values) {
	t.Helper()
	ctx, end := t.request()
	v, err := t.Find(ctx, id)
	if err != nil {
		t.Fatalf("Find: %v", err)
	}
	if v == nil {
		t.Fatalf("Find: no session")
	}
	return ctx, end, maps.Clone(v)
}

func (t *adapterTest) rows(want int, when string) {
	t.Helper()
	if t.Rows == nil {
		return
	}
	if got := t.Rows(t); got != want {
		t.Fatalf("%s: %d live sessions, want %d", when, got, want)
	}
}

func (t *adapterTest) roundTrip() {
	id, other := t.create(values{"a": "1"}), t.create(values{"other": "ü\x00"})
	if id == other {
		t.Fatal("two sessions under one id")
	}
	t.is(id, values{"a": "1"}, "created")
	t.is(other, values{"other": "ü\x00"}, "created")
	ctx, end, v := t.find(id)
	v["b"] = "2"
	if err := t.Save(ctx, id, v); err != nil {
		t.Fatalf("Save: %v", err)
	}
	v["c"] = "the same request saves again"
	delete(v, "a")
	if err := t.Save(ctx, id, v); err != nil {
		t.Fatalf("Save again: %v", err)
	}
	end()
	t.is(id, values{"b": "2", "c": "the same request saves again"}, "saved")
	t.is(other, values{"other": "ü\x00"}, "left alone")
	t.rows(2, "two were created")
}

func (t *adapterTest) unknown() {
	for _, id := range []string{"", "unknown", "ü", "a b", "a\x00b", "'; DROP TABLE sessions; --", strings.Repeat("x", 5000)} {
		t.is(id, nil, fmt.Sprintf("id %.20q", id))
		ctx, end := t.request()
		if err := t.Delete(ctx, id); err != nil {
			t.Fatalf("Delete of the unknown id %.20q: %v", id, err)
		}
		end()
	}
	t.rows(0, "nothing was created")
}

// fixation: what the client made up never leads anywhere, also when that request goes on to create a session.
func (t *adapterTest) fixation() {
	for _, made := range []string{"made-up-by-the-client", rand.Text() + rand.Text()} {
		ctx, end := t.request()
		if v, err := t.Find(ctx, made); v != nil || err != nil {
			t.Fatalf("Find of a made-up id: %v, %v", v, err)
		}
		id, err := t.Create(ctx, rand.Text(), values{"user": "ann"})
		if err != nil {
			t.Fatalf("Create: %v", err)
		}
		if id == made {
			t.Fatal("the session was created under the id that the client made up")
		}
		end()
		t.is(made, nil, "the made-up id")
		t.is(id, values{"user": "ann"}, "created")
	}
	t.rows(2, "two were created")
}

// nothingStored: a visitor without values has no row.
func (t *adapterTest) nothingStored() {
	ctx, end := t.request()
	if _, err := t.Create(ctx, rand.Text(), values{}); err != nil {
		t.Fatalf("Create without values: %v", err)
	}
	end()
	t.rows(0, "a visitor who stored nothing")
}

// collision: a manager that draws an id twice gives nobody another's session.
func (t *adapterTest) collision() {
	id := t.create(values{"user": "ann"})
	for range 3 {
		ctx, end := t.request()
		if _, err := t.Create(ctx, id, values{"user": "eve"}); err == nil {
			t.Fatal("Create under an id that is taken: no error")
		}
		end()
		t.is(id, values{"user": "ann"}, "the session that was there")
		if t.NoRequests {
			break
		}
	}
	t.rows(1, "one was created")
}

func (t *adapterTest) deletion() {
	id := t.create(values{"a": "1"})
	ctx, end, _ := t.find(id)
	for range 2 {
		if err := t.Delete(ctx, id); err != nil {
			t.Fatalf("Delete: %v", err)
		}
	}
	if v, err := t.Find(ctx, id); v != nil || err != nil {
		t.Fatalf("Find in the request that deleted it: %v, %v", v, err)
	}
	end()
	t.is(id, nil, "deleted")
	if !t.OwnIDs {
		ctx, end = t.request()
		_, _ = t.Create(ctx, id, values{"a": "again"}) // an error or not: it is not to be there
		end()
		t.is(id, nil, "created again under the id of a deleted session")
	}
	t.rows(0, "deleted")
}

// deletionUnderWay: requests that found a session while it was live save it after it was deleted.
func (t *adapterTest) deletionUnderWay() {
	id := t.create(values{"n": "0"})
	var late []func()
	for i := range 4 {
		ctx, _, v := t.find(id)
		if i%2 == 0 { // the others save what they found
			v["late"] = "yes"
		}
		late = append(late, func() { _ = t.Save(ctx, id, v) })
	}
	ctx, end := t.request()
	if err := t.Delete(ctx, id); err != nil {
		t.Fatalf("Delete: %v", err)
	}
	end()
	for _, save := range late {
		save()
		t.is(id, nil, "saved by a request that was under way when it was deleted")
	}
	t.rows(0, "deleted")
}

// deletionAmongMany: the same while all go on at once.
func (t *adapterTest) deletionAmongMany() {
	for range 3 {
		id := t.create(values{"n": "0"})
		var writers sync.WaitGroup
		var deleted atomic.Bool
		returned := make(chan struct{})
		started := make(chan struct{}, 8)
		for w := range cap(started) {
			writers.Go(func() {
				for n := 0; ; n++ {
					late := deleted.Load()
					ctx, end := t.request()
					v, err := t.Find(ctx, id)
					if n == 0 {
						started <- struct{}{}
					}
					if n == 0 && w == 0 { // one comes late for certain
						<-returned
					}
					switch {
					case err != nil:
						t.Errorf("Find: %v", err)
					case v != nil && late:
						t.Error("the session was there again after it was deleted")
					case v != nil:
						v = maps.Clone(v)
						v[fmt.Sprint("writer", w)] = fmt.Sprint(n)
						_ = t.Save(ctx, id, v) // a conflict, perhaps
						end()
						continue
					}
					end()
					return
				}
			})
		}
		for range cap(started) {
			<-started
		}
		ctx, end := t.request()
		err := t.Delete(ctx, id)
		end()
		deleted.Store(true)
		close(returned)
		if err != nil {
			t.Errorf("Delete: %v", err)
		}
		writers.Wait()
		t.is(id, nil, "deleted while others wrote")
	}
	t.rows(0, "all were deleted")
}

func (t *adapterTest) expiry() {
	id := t.create(values{"a": "1"})
	changed, _, v := t.find(id)
	same, _, w := t.find(id)
	t.Adapter.Expire(t, id)
	t.is(id, nil, "expired")
	v["late"] = "yes"
	_ = t.Save(changed, id, v)
	t.is(id, nil, "saved by a request that was under way when it expired")
	_ = t.Save(same, id, w)
	t.is(id, nil, "saved unchanged by a request that was under way when it expired")
	t.rows(0, "expired")
}

// parallelChanges: two requests load the same, and each changes something of its own.
func (t *adapterTest) parallelChanges() {
	id := t.create(values{"kept": "1", "removed": "1"})
	first, _, a := t.find(id)
	second, _, b := t.find(id)
	a["first"] = "1"
	if err := t.Save(first, id, a); err != nil {
		t.Fatalf("Save: %v", err)
	}
	b["second"] = "2"
	delete(b, "removed")
	err := t.Save(second, id, b)
	switch {
	case t.LastWriterWins && err != nil:
		t.Fatalf("Save: %v", err)
	case t.LastWriterWins:
		t.is(id, values{"kept": "1", "second": "2"}, "the last writer's")
	case err != nil: // refused
		t.is(id, values{"kept": "1", "removed": "1", "first": "1"}, "the second was refused")
	default:
		t.is(id, values{"kept": "1", "first": "1", "second": "2"}, "both changed it")
	}
}

// manyChanges: each of many requests at once adds a value, again if it was refused.
func (t *adapterTest) manyChanges() {
	id := t.create(values{"kept": "1"})
	want := values{"kept": "1"}
	var all, loaded sync.WaitGroup
	loaded.Add(8)
	for n := range 8 {
		name := fmt.Sprint("n", n)
		want[name] = "1"
		all.Go(func() {
			var err error
			for try := range 1000 {
				ctx, end := t.request()
				var v values
				v, err = t.Find(ctx, id)
				if try == 0 { // all begin with the same
					loaded.Done()
					loaded.Wait()
				}
				if err == nil && v != nil {
					v = maps.Clone(v)
					v[name] = "1"
					err = t.Save(ctx, id, v)
				}
				end()
				if err == nil {
					return
				}
			}
			t.Errorf("Save: refused a thousand times: %v", err)
		})
	}
	all.Wait()
	t.is(id, want, "all changed it")
}

// errors: a database that fails is no visitor without a session.
func (t *adapterTest) errors() {
	id := t.create(values{"a": "1"})
	under, _, v := t.find(id)
	t.Break(t)
	ctx, _ := t.request()
	if found, err := t.Find(ctx, id); err == nil {
		t.Errorf("Find: %v and no error, though the database fails", found)
	}
	v["b"] = "2"
	if err := t.Save(under, id, v); err == nil {
		t.Error("Save: no error, though the database fails")
	}
	if err := t.Delete(under, id); err == nil {
		t.Error("Delete: no error, though the database fails")
	}
	if _, err := t.Create(ctx, rand.Text(), v); err == nil {
		t.Error("Create: no error, though the database fails")
	}
}

// cancelled: a request that is over is no visitor without a session either, and ends nothing.
func (t *adapterTest) cancelled() {
	id := t.create(values{"a": "1"})
	under, endUnder, v := t.find(id)
	endUnder()
	ctx, end := t.request()
	end()
	if found, err := t.Find(ctx, id); err == nil && found == nil {
		t.Error("Find in a request that is over: no session and no error")
	}
	v["b"] = "2"
	if err := t.Save(under, id, v); err == nil {
		t.is(id, v, "saved in a request that is over, without an error")
	} else {
		t.is(id, values{"a": "1"}, "not saved, in a request that is over")
	}
}

package testapp

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	entsql "entgo.io/ent/dialect/sql"
	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	v1 "github.com/entsession/entsession/entext/internal/testapp/rolling/v1"
	v1session "github.com/entsession/entsession/entext/internal/testapp/rolling/v1/session"
	v2 "github.com/entsession/entsession/entext/internal/testapp/rolling/v2"
	v2session "github.com/entsession/entsession/entext/internal/testapp/rolling/v2/session"
	"github.com/entsession/entsession/internal/dbtest"
)

// TestRolling: a rolling deployment of an application with a typed store. Processes of version 1 are at work when version 2's own migration adds two columns;
// then processes with version 2's generated code join, and an old one is started anew; all serve the same sessions; and in the end the old ones leave. No call
// fails, and each session holds at each request what was written last, whichever version wrote it.
func TestRolling(t *testing.T) {
	t.Parallel()
	for _, kind := range dbtest.Kinds() {
		if kind.Dialect == dbtest.Postgres && kind.Name != "postgres15" { // internal/conformance has the untyped stores on every version
			continue
		}
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			rolling(t, &app{db: kind.New(t)})
		})
	}
}

func rolling(t *testing.T, a *app) {
	a.pool = a.db.Admin(t)
	a.pool.SetMaxOpenConns(1)
	if a.db.Kind.Dialect == dbtest.SQLite {
		a.exec(t, "PRAGMA foreign_keys = 1") // ent's migrations ask for it
	}
	migrate(t, v1.NewClient(v1.Driver(a.driver())).Schema.Create)
	alone := func(c *entsession.Config) { c.DisableBatching = true }
	d := &deployment{T: t, old: []process{openV1(t, a), openV1(t, a, alone)}}
	shared, err := d.old[0].create(contents{})
	require.NoError(t, err)

	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() { d.serve(stop) })
	}
	for range 2 {
		wg.Go(func() { d.share(stop, shared) })
	}
	more := func(n int64) {
		before := d.done.Load()
		require.Eventually(t, func() bool { return t.Failed() || d.done.Load() >= before+n }, time.Minute, 5*time.Millisecond)
	}
	func() {
		defer wg.Wait()
		defer close(stop)
		more(50)
		migrate(t, v2.NewClient(v2.Driver(a.driver())).Schema.Create)
		more(25)
		d.become(append(d.old, openV1(t, a)), []process{openV2(t, a), openV2(t, a, alone)})
		more(200)
		d.become(nil, d.new)
		more(25)
	}()
	if t.Failed() {
		return
	}
	got, _, err := d.new[0].load(shared)
	require.NoError(t, err)
	require.Equal(t, contents{n: int(d.shared.Load()), visits: int(d.shared.Load()), trust: 7 + int(d.trusted.Load())}, got, "every Update of either version is applied once")
	t.Logf("%d calls, %d of version 2; the shared session: %d, %d of version 2", d.done.Load(), d.byNew.Load(), d.shared.Load(), d.trusted.Load())
	require.NotZero(t, d.byNew.Load())
}

// driver is ent's, for migrations.
func (a *app) driver() *entsql.Driver { return entsql.OpenDB(a.db.Kind.Dialect, a.pool) }

// migrate runs one of ent's migrations.
func migrate[O any](t testing.TB, create func(context.Context, ...O) error) {
	t.Helper()
	creating.Lock() // ent writes to the tables that it generated
	defer creating.Unlock()
	require.NoError(t, create(ctx))
}

// contents is what a session holds. Version 1 doesn't know trust and roles.
type contents struct {
	n      int // the payload
	device string
	visits int
	trust  int
	roles  []string
}

func (c contents) data() []byte { return strconv.AppendInt(nil, int64(c.n), 10) }

// process is one of the application's, of either version.
type process interface {
	isNew() bool
	create(contents) (id string, err error)
	// load gives what its version knows of, and a Save that writes those columns and the payload, or the payload only.
	load(id string) (contents, func(c contents, columns bool) error, error)
	update(id string, f func(contents) contents) error
	rotate(id string, c contents, columns bool) (string, error)
	gone(id string) error
}

type processV1 struct{ *v1.SessionStore }

func openV1(t *testing.T, a *app, change ...func(*entsession.Config)) process {
	sessions, err := v1.NewSessionStore(a.open(t, v1session.Table, change...), v1.NewClient(v1.Driver(a.driver())))
	require.NoError(t, err)
	return processV1{sessions}
}

func (processV1) isNew() bool { return false }

func (processV1) columns(c contents) []v1session.Column {
	return []v1session.Column{v1session.SetDevice(c.device), v1session.SetVisits(c.visits)}
}

func (processV1) read(s *v1.StoredSession) (contents, error) {
	n, err := strconv.Atoi(string(s.Data))
	return contents{n: n, device: s.Device, visits: s.Visits}, err
}

func (p processV1) create(c contents) (string, error) {
	s, err := p.Create(ctx, c.data(), p.columns(c)...)
	if err != nil {
		return "", err
	}
	return s.ID(), nil
}

func (p processV1) load(id string) (contents, func(contents, bool) error, error) {
	s, err := p.Load(ctx, id)
	if err != nil {
		return contents{}, nil, err
	}
	got, err := p.read(s)
	return got, func(c contents, columns bool) error {
		s.Data = c.data()
		if columns {
			s.Set(p.columns(c)...)
		}
		return p.Save(ctx, s)
	}, err
}

func (p processV1) update(id string, f func(contents) contents) error {
	_, err := p.Update(ctx, id, func(s *v1.StoredSession) error {
		got, err := p.read(s)
		c := f(got)
		s.Data = c.data()
		s.Set(p.columns(c)...)
		return err
	})
	return err
}

func (p processV1) rotate(id string, c contents, columns bool) (string, error) {
	var set []v1session.Column
	if columns {
		set = p.columns(c)
	}
	s, err := p.Rotate(ctx, id, set...)
	if err != nil {
		return "", err
	}
	return s.ID(), nil
}

func (p processV1) gone(id string) error { return p.Touch(ctx, id) }

type processV2 struct{ *v2.SessionStore }

func openV2(t *testing.T, a *app, change ...func(*entsession.Config)) process {
	sessions, err := v2.NewSessionStore(a.open(t, v2session.Table, change...), v2.NewClient(v2.Driver(a.driver())))
	require.NoError(t, err)
	return processV2{sessions}
}

func (processV2) isNew() bool { return true }

func (processV2) columns(c contents) []v2session.Column {
	set := []v2session.Column{v2session.SetDevice(c.device), v2session.SetVisits(c.visits), v2session.SetTrust(c.trust)}
	if c.roles == nil {
		return append(set, v2session.ClearRoles())
	}
	return append(set, v2session.SetRoles(c.roles))
}

func (processV2) read(s *v2.StoredSession) (contents, error) {
	n, err := strconv.Atoi(string(s.Data))
	return contents{n: n, device: s.Device, visits: s.Visits, trust: s.Trust, roles: s.Roles}, err
}

func (p processV2) create(c contents) (string, error) {
	s, err := p.Create(ctx, c.data(), p.columns(c)...)
	if err != nil {
		return "", err
	}
	return s.ID(), nil
}

func (p processV2) load(id string) (contents, func(contents, bool) error, error) {
	s, err := p.Load(ctx, id)
	if err != nil {
		return contents{}, nil, err
	}
	got, err := p.read(s)
	return got, func(c contents, columns bool) error {
		s.Data = c.data()
		if columns {
			s.Set(p.columns(c)...)
		}
		return p.Save(ctx, s)
	}, err
}

func (p processV2) update(id string, f func(contents) contents) error {
	_, err := p.Update(ctx, id, func(s *v2.StoredSession) error {
		got, err := p.read(s)
		c := f(got)
		s.Data = c.data()
		s.Set(p.columns(c)...)
		return err
	})
	return err
}

func (p processV2) rotate(id string, c contents, columns bool) (string, error) {
	var set []v2session.Column
	if columns {
		set = p.columns(c)
	}
	s, err := p.Rotate(ctx, id, set...)
	if err != nil {
		return "", err
	}
	return s.ID(), nil
}

func (p processV2) gone(id string) error { return p.Touch(ctx, id) }

// deployment is the processes that serve now.
type deployment struct {
	*testing.T
	mu              sync.Mutex
	old, new        []process
	done, byNew     atomic.Int64 // requests
	shared, trusted atomic.Int64 // updates of the shared session, and those of version 2
}

func (d *deployment) become(old, new []process) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.old, d.new = old, new
}

// any is where a load balancer sends a request.
func (d *deployment) any() process {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := rand.IntN(len(d.old) + len(d.new))
	if n < len(d.old) {
		return d.old[n]
	}
	return d.new[n-len(d.old)]
}

func (d *deployment) finished(p process) {
	d.done.Add(1)
	if p.isNew() {
		d.byNew.Add(1)
	}
}

// serve serves one session after the other, each request by any process.
func (d *deployment) serve(stop <-chan struct{}) {
	for {
		var id string
		var holds contents
		for step := range 12 {
			p := d.any()
			what, err := d.request(p, step, &id, &holds)
			if err != nil {
				d.Errorf("%s by version 2: %t: %v", what, p.isNew(), err)
				return
			}
			d.finished(p)
			select {
			case <-stop:
				return
			default:
			}
		}
	}
}

func (d *deployment) request(p process, step int, id *string, holds *contents) (what string, err error) {
	if step == 0 {
		*holds = contents{device: "first", trust: 7} // which are the defaults of what version 1 doesn't know
		if p.isNew() {
			holds.trust, holds.roles = 1, []string{"new"}
		}
		*id, err = p.create(*holds)
		return "create", err
	}
	got, save, err := p.load(*id)
	if err != nil {
		return "load", err
	}
	want := *holds
	if !p.isNew() {
		want.trust, want.roles = 0, nil
	}
	if got.n != want.n || got.device != want.device || got.visits != want.visits || got.trust != want.trust || !slices.Equal(got.roles, want.roles) {
		return "load", fmt.Errorf("it holds %+v, not %+v", got, want)
	}
	next, columns := *holds, rand.IntN(2) == 0
	next.n++
	if columns {
		next.device, next.visits = fmt.Sprint("device ", step), next.visits+1
		if p.isNew() {
			next.trust, next.roles = step, slices.Concat(next.roles, []string{fmt.Sprint(step)})
		}
	}
	switch rand.IntN(3) {
	case 0:
		*holds = next
		return "save", save(next, columns)
	case 1:
		*holds = next
		return "update", p.update(*id, func(got contents) contents {
			if p.isNew() {
				return next
			}
			got.n, got.device, got.visits = next.n, next.device, next.visits
			return got
		})
	}
	next.n = holds.n // Rotate leaves the payload
	before := *id
	if *id, err = p.rotate(before, next, columns); err != nil {
		return "rotate", err
	}
	*holds = next
	if err := p.gone(before); !errors.Is(err, entsession.ErrNotFound) {
		return "rotate", fmt.Errorf("the id of before: %v", err)
	}
	return "rotate", nil
}

// share updates the session that others update too.
func (d *deployment) share(stop <-chan struct{}, id string) {
	for {
		p := d.any()
		err := p.update(id, func(c contents) contents {
			c.n, c.visits, c.trust = c.n+1, c.visits+1, c.trust+1
			return c
		})
		if err != nil {
			d.Errorf("update of the shared session by version 2: %t: %v", p.isNew(), err)
			return
		}
		d.shared.Add(1)
		if p.isNew() {
			d.trusted.Add(1)
		}
		d.finished(p)
		select {
		case <-stop:
			return
		default:
		}
	}
}

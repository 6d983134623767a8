package conformance

import (
	"fmt"
	"strings"
	"testing"

	entsql "entgo.io/ent/dialect/sql"
	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/ent/session"
	"github.com/entsession/entsession/internal/dbtest"
)

func testExtraColumns(t *testing.T, e *env) {
	store := e.store()
	e.exec("ALTER TABLE sessions ADD COLUMN visits bigint NOT NULL DEFAULT 7")
	e.exec("ALTER TABLE sessions ADD COLUMN device varchar(40) NULL")
	s := e.create(store, "x", entsession.Set(session.FieldSubject, "42"), entsession.Set("device", "phone"))
	got, err := store.Load(ctx, s.ID())
	require.NoError(t, err)
	require.Len(t, got.Columns(), 3)
	visits, err := entsession.Get[int](got, "visits")
	require.NoError(t, err)
	require.Equal(t, 7, visits, "the column's own default")

	// What is not named keeps its value, whoever wrote it.
	e.exec("UPDATE sessions SET visits = 8")
	require.NoError(t, store.Save(ctx, got, entsession.Set("device", nil)))
	require.EqualValues(t, 8, e.int("SELECT visits FROM sessions"))
	require.EqualValues(t, 1, e.int("SELECT count(*) FROM sessions WHERE device IS NULL AND subject = '42'"))
	v, ok := got.Get("device")
	require.True(t, ok)
	require.Nil(t, v)

	// Staged by hand, shown at once, written once, and the last one wins.
	got.Set(entsession.Set("visits", 1), entsession.Set("visits", 9))
	visits, err = entsession.Get[int](got, "visits")
	require.NoError(t, err)
	require.Equal(t, 9, visits)
	require.NoError(t, store.Save(ctx, got))
	require.EqualValues(t, 9, e.int("SELECT visits FROM sessions"))
	e.exec("UPDATE sessions SET visits = 10")
	require.NoError(t, store.Save(ctx, got))
	require.EqualValues(t, 10, e.int("SELECT visits FROM sessions"), "staged columns are written once")

	for range 3 {
		_, err = store.Update(ctx, s.ID(), func(s *entsession.Session) error {
			n, err := entsession.Get[int64](s, "visits")
			s.Set(entsession.Set("visits", n+1))
			return err
		})
		require.NoError(t, err)
	}
	require.EqualValues(t, 13, e.int("SELECT visits FROM sessions"))
	require.NoError(t, store.Touch(ctx, s.ID()))
	require.Equal(t, "42", e.text("SELECT subject FROM sessions"))

	long := strings.Repeat("ü", 40)
	s = e.create(store, "y", entsession.Set("device", long))
	device, err := entsession.Get[string](s, "device")
	require.NoError(t, err)
	require.Equal(t, long, device)
}

func testColumnErrors(t *testing.T, e *env) {
	store := e.store()
	s := e.create(store, "x")
	rows := e.int("SELECT count(*) FROM sessions")
	for _, own := range []string{"id", "data", "timeout", "version", "created", "application"} {
		var column *entsession.ColumnError
		_, err := store.Create(ctx, nil, entsession.Set(own, "1"))
		require.ErrorAs(t, err, &column)
		require.Equal(t, own, column.Column)
		require.ErrorContains(t, err, "store's own")
		require.ErrorContains(t, store.Save(ctx, s, entsession.Set(own, "1")), "store's own")
	}
	for _, name := range []string{"nope", "", `subject" = 'x', "data`, "subject`", "sub ject", strings.Repeat("c", 70)} {
		err := store.Save(ctx, s, entsession.Set(name, "1"))
		var column *entsession.ColumnError
		require.ErrorAs(t, err, &column, name)
		require.ErrorContains(t, err, fmt.Sprintf("%q", name))
		require.ErrorContains(t, err, "subject", "the columns that there are")
	}
	// A value that does not fit: refused, and nothing is half done.
	s.Data = []byte("y")
	if e.db.Kind.Dialect != dbtest.SQLite { // which knows no lengths
		require.Error(t, store.Save(ctx, s, entsession.Set(session.FieldSubject, strings.Repeat("x", 256))))
		_, err := store.Create(ctx, nil, entsession.Set(session.FieldSubject, strings.Repeat("x", 256)))
		require.Error(t, err)
	}
	require.Error(t, store.Save(ctx, s, entsession.Set(session.FieldSubject, struct{ X chan int }{})))
	got, err := store.Load(ctx, s.ID())
	require.NoError(t, err)
	require.Equal(t, "x", string(got.Data))
	require.Equal(t, rows, e.int("SELECT count(*) FROM sessions"))
	require.NoError(t, store.Save(ctx, s), "and the session can still be saved")

	_, err = entsession.Get[string](got, "nope")
	require.ErrorContains(t, err, `"nope"`)
	require.NoError(t, store.Save(ctx, got0(t, store, s.ID()), entsession.Set(session.FieldSubject, "not a number")))
	_, err = entsession.Get[int](got0(t, store, s.ID()), session.FieldSubject)
	require.ErrorContains(t, err, `"subject"`)
	require.NotContains(t, err.Error(), "not a number")
}

func got0(t *testing.T, store *entsession.Store, id string) *entsession.Session {
	t.Helper()
	s, err := store.Load(ctx, id)
	require.NoError(t, err)
	return s
}

// testColumnAddedLater: a migration of the application's adds a column while the store works.
func testColumnAddedLater(t *testing.T, e *env) {
	store := e.store()
	s := e.create(store, "x")
	for range 3 { // prepared statements are cached by now
		require.True(t, e.live(store, s.ID()))
	}
	e.exec("ALTER TABLE sessions ADD COLUMN device varchar(40) NULL")
	require.True(t, e.live(store, s.ID()))
	require.NoError(t, store.Save(ctx, s))
	require.NoError(t, store.Save(ctx, s, entsession.Set("device", "phone")), "known as soon as it is named")
	device, err := entsession.Get[string](got0(t, store, s.ID()), "device")
	require.NoError(t, err)
	require.Equal(t, "phone", device)
}

// testColumnDropped: and another one takes a column away.
func testColumnDropped(t *testing.T, e *env) {
	store := e.store()
	e.exec("ALTER TABLE sessions ADD COLUMN device varchar(40) NULL")
	s := e.create(store, "x")
	require.Len(t, got0(t, store, s.ID()).Columns(), 2)
	e.exec("ALTER TABLE sessions DROP COLUMN device")
	require.Len(t, got0(t, store, s.ID()).Columns(), 1)
	require.NoError(t, store.Save(ctx, s))
	for sess, err := range store.List(ctx) {
		require.NoError(t, err)
		require.Len(t, sess.Columns(), 1)
	}
}

func testApplications(t *testing.T, e *env) {
	shop, admin, none := e.store(application("shop")), e.open(application("admin")), e.open()
	s := e.create(shop, "x", entsession.Set(session.FieldSubject, "42"))
	for _, other := range []*entsession.Store{admin, none} {
		require.False(t, e.live(other, s.ID()))
		require.Equal(t, entsession.ErrNotFound, other.Touch(ctx, s.ID()))
		require.Equal(t, entsession.ErrNotFound, other.Save(ctx, s))
		_, err := other.Rotate(ctx, s.ID())
		require.Equal(t, entsession.ErrNotFound, err)
		require.NoError(t, other.Delete(ctx, s.ID()))
		for range other.List(ctx, session.Subject("42")) {
			t.Error("listed by another application")
		}
		// Not even by a predicate that tries.
		for _, where := range []func(*entsql.Selector){
			session.Subject("42"),
			session.Or(session.Application("shop"), session.TimeoutGT(0)),
			func(s *entsql.Selector) { s.Where(entsql.ExprP("1 = 1 OR 1 = 1")) },
		} {
			n, err := other.Revoke(ctx, where)
			require.NoError(t, err)
			require.Zero(t, n)
		}
	}
	require.True(t, e.live(shop, s.ID()))
	e.expire(s)
	n, err := admin.Purge(ctx)
	require.NoError(t, err)
	require.Zero(t, n)
	n, err = shop.Purge(ctx)
	require.NoError(t, err)
	require.Equal(t, 1, n)
}

func testList(t *testing.T, e *env) {
	store := e.store()
	want := map[string]string{}
	for i := range 250 { // more than two pages
		s := e.create(store, fmt.Sprint(i))
		want[s.Key()] = fmt.Sprint(i)
	}
	expired, deleted := e.create(store, "x"), e.create(store, "x")
	e.expire(expired)
	require.NoError(t, store.Delete(ctx, deleted.ID()))

	got := map[string]string{}
	for s, err := range store.List(ctx) {
		require.NoError(t, err)
		require.Empty(t, s.ID(), "the store knows the hash alone")
		got[s.Key()] = string(s.Data)
	}
	require.Equal(t, want, got)
	n := 0
	for s, err := range store.List(ctx) {
		require.NoError(t, err)
		s.Data = append(s.Data, "!"...)
		require.NoError(t, store.Save(ctx, s), "a listed session can be saved")
		if n++; n == 120 {
			break
		}
	}
	require.EqualValues(t, 120, e.int("SELECT count(*) FROM sessions WHERE data LIKE '%!'"))

	plain := e.open(func(c *entsession.Config) { c.PlainIDs = true; c.Application = "plain" })
	p := e.create(plain, "x")
	for s, err := range plain.List(ctx) {
		require.NoError(t, err)
		require.Equal(t, p.ID(), s.ID())
	}
}

func testListByPredicate(t *testing.T, e *env) {
	store := e.store()
	e.exec("ALTER TABLE sessions ADD COLUMN visits bigint NOT NULL DEFAULT 0")
	for i := range 230 {
		e.create(store, "x", entsession.Set(session.FieldSubject, fmt.Sprint(i%2)), entsession.Set("visits", i))
	}
	count := func(where ...func(*entsql.Selector)) (n int) {
		for s, err := range store.List(ctx, where...) {
			require.NoError(t, err)
			require.NotEmpty(t, s.Key())
			n++
		}
		return n
	}
	require.Equal(t, 115, count(session.Subject("1")))
	require.Equal(t, 230, count(session.SubjectIn("0", "1")))
	require.Equal(t, 5, count(session.Subject("1"), entsql.FieldLT("visits", 10)), "every predicate must hold")
	require.Equal(t, 230, count(session.Or(session.Subject("0"), session.Subject("1"))))
	require.Zero(t, count(session.Subject("2")))
	require.Equal(t, 230, count(nil))
	for _, err := range store.List(ctx, entsql.FieldEQ("nope", 1)) {
		require.ErrorContains(t, err, "list")
	}
}

func testTyped(t *testing.T, e *env) {
	type cart struct {
		Items []string `json:"items"`
	}
	store := e.store()
	carts := entsession.Typed[cart]{Store: store}
	s, err := carts.Create(ctx, cart{Items: []string{"tea"}}, entsession.Set(session.FieldSubject, "42"))
	require.NoError(t, err)
	require.JSONEq(t, `{"items":["tea"]}`, e.text("SELECT data FROM sessions"))
	u, err := carts.Update(ctx, s.ID(), func(s *entsession.TypedSession[cart]) error {
		s.Value.Items = append(s.Value.Items, "milk")
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, []string{"tea", "milk"}, u.Value.Items)
	got, err := carts.Load(ctx, s.ID())
	require.NoError(t, err)
	require.Equal(t, u.Value, got.Value)
	s.Value.Items = nil
	require.Equal(t, entsession.ErrConflict, carts.Save(ctx, s))
	got.Value.Items = nil
	require.NoError(t, carts.Save(ctx, got))
	require.JSONEq(t, `{"items":null}`, e.text("SELECT data FROM sessions"))
	require.ErrorIs(t, carts.Save(ctx, nil), entsession.ErrInvalidID)

	got, err = carts.Rotate(ctx, s.ID(), entsession.Set(session.FieldSubject, "43"))
	require.NoError(t, err)
	n := 0
	for s, err := range carts.List(ctx, session.Subject("43")) {
		require.NoError(t, err)
		require.Equal(t, got.Value, s.Value)
		n++
	}
	require.Equal(t, 1, n)
	e.create(store, "not JSON", entsession.Set(session.FieldSubject, "44"))
	_, err = carts.Create(ctx, cart{Items: []string{"milk"}}, entsession.Set(session.FieldSubject, "44"))
	require.NoError(t, err)
	var values, problems int
	for s, err := range carts.List(ctx, session.Subject("44")) {
		require.NotNil(t, s)
		if err != nil {
			problems++
		} else {
			require.Equal(t, []string{"milk"}, s.Value.Items)
			values++
		}
	}
	require.Equal(t, []int{1, 1}, []int{values, problems}, "one bad row hurts nobody else")

	raw := e.create(store, "not JSON")
	_, err = carts.Load(ctx, raw.ID())
	require.ErrorContains(t, err, "conformance.cart")
	_, err = carts.Update(ctx, raw.ID(), func(*entsession.TypedSession[cart]) error { t.Error("called"); return nil })
	require.ErrorContains(t, err, "conformance.cart")
	require.True(t, e.live(store, raw.ID()), "it is left as it is")
	empty := e.create(store, "")
	got, err = carts.Load(ctx, empty.ID())
	require.NoError(t, err)
	require.Zero(t, got.Value)
	_, err = carts.Load(ctx, "nope")
	require.Equal(t, entsession.ErrNotFound, err)
	_, err = entsession.Typed[chan int]{Store: store}.Create(ctx, make(chan int))
	require.ErrorContains(t, err, "chan int")
}

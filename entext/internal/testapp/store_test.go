package testapp

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/entext/internal/testapp/ent"
	"github.com/entsession/entsession/entext/internal/testapp/ent/legacy"
	"github.com/entsession/entsession/entext/internal/testapp/ent/schema"
	"github.com/entsession/entsession/entext/internal/testapp/ent/session"
	"github.com/entsession/entsession/entext/internal/testapp/ent/stafflogin"
	"github.com/entsession/entsession/entext/internal/testapp/ent/user"
	"github.com/entsession/entsession/entext/internal/testapp/types"
	"github.com/entsession/entsession/internal/dbtest"
	"github.com/entsession/entsession/typedstore"
)

func (a *app) count(t *testing.T) (n int) {
	t.Helper()
	require.NoError(t, a.pool.QueryRowContext(ctx, "SELECT count(*) FROM sessions").Scan(&n))
	return n
}

// TestDefaults: those of the schema, on Create and on every Save, and not over what is given.
func TestDefaults(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, a *app) {
		before := time.Now().Add(-time.Second)
		s, err := a.sessions.Create(ctx, nil)
		require.NoError(t, err)
		s, err = a.sessions.Load(ctx, s.ID())
		require.NoError(t, err)
		require.Equal(t, "main", s.Tenant)
		require.Equal(t, session.StateNew, s.State)
		require.Equal(t, types.Cents(7), s.Balance)
		require.False(t, s.Admin)
		require.NotZero(t, s.Trace)
		require.WithinRange(t, s.Changed, before, time.Now().Add(time.Second))

		at := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
		require.NoError(t, a.sessions.Save(ctx, s, session.SetChanged(at)))
		require.True(t, s.Changed.Equal(at))
		trace := s.Trace
		require.NoError(t, a.sessions.Save(ctx, s))
		require.WithinRange(t, s.Changed, before, time.Now().Add(time.Second), "a default for updates")
		require.Equal(t, trace, s.Trace, "the default on Create is no default for updates")
		require.NoError(t, a.sessions.Save(ctx, s, session.SetChanged(at)))
		s, err = a.sessions.Update(ctx, s.ID(), func(s *ent.StoredSession) error { return nil })
		require.NoError(t, err)
		require.WithinRange(t, s.Changed, before, time.Now().Add(time.Second))
		require.NoError(t, a.sessions.Save(ctx, s, session.SetChanged(at)))
		s, err = a.sessions.Rotate(ctx, s.ID())
		require.NoError(t, err)
		require.WithinRange(t, s.Changed, before, time.Now().Add(time.Second))

		other, err := a.sessions.Create(ctx, nil, session.SetTenant("x"), session.SetBalance(0), session.SetBalance(1))
		require.NoError(t, err)
		require.Equal(t, "x", other.Tenant)
		require.Equal(t, types.Cents(1), other.Balance, "the last one counts")
	})
}

// TestValidation: nothing is sent, the field is named, and a sensitive value is in no text.
func TestValidation(t *testing.T) {
	t.Parallel()
	a := start(t, dbtest.Kinds(dbtest.SQLite)[0])
	s, err := a.sessions.Create(ctx, []byte("x"))
	require.NoError(t, err)
	for _, c := range []struct {
		set         session.Column
		field, text string
		is          error
	}{
		{session.SetDevice(strings.Repeat("x", 21)), "device", "required length", nil},
		{session.SetState("old"), "state", "invalid enum value", nil},
		{session.SetLevel("middle"), "level", "invalid enum value", nil},
		{session.SetRole("god"), "role", "no such role", types.ErrGod},
		{session.SetTags(types.Tags{All: []string{"a,b"}}), "tags", "has a comma", nil},
		{session.SetHome(nil), "home", "panicked", nil},
		{session.SetU64(1 << 63), "u64", "high bit", nil},
		{session.SetSecret("hunter2"), "secret", "sensitive field was refused", nil},
	} {
		_, err := a.sessions.Create(ctx, nil, c.set)
		for _, err := range []error{err, a.sessions.Save(ctx, s, c.set), second(a.sessions.Rotate(ctx, s.ID(), c.set)),
			second(a.sessions.Update(ctx, s.ID(), func(s *ent.StoredSession) error { s.Set(c.set); return nil }))} {
			var v *typedstore.ValidationError
			require.ErrorAs(t, err, &v, c.field)
			require.Equal(t, c.field, v.Field())
			require.ErrorContains(t, err, "Session."+c.field)
			require.ErrorContains(t, err, c.text)
			var column *entsession.ColumnError
			require.ErrorAs(t, err, &column)
			require.Equal(t, c.field, column.Column)
			require.NotContains(t, err.Error()+fmt.Sprintf("%v %+v", v, column), "hunter2")
			require.NotErrorIs(t, err, schema.ErrWeak)
			if c.is != nil {
				require.ErrorIs(t, err, c.is)
			}
		}
	}
	err = a.sessions.Save(ctx, s, session.SetTenant("other"))
	require.ErrorContains(t, err, "Session.tenant: the field is immutable")
	var column *entsession.ColumnError
	require.ErrorAs(t, err, &column)
	require.Equal(t, "tenant_name", column.Column)
	require.Equal(t, 1, a.count(t))
	require.NoError(t, a.sessions.Save(ctx, s), "and it can still be saved")

	staff, err := ent.NewStaffLoginStore(a.open(t, stafflogin.Table), a.client)
	require.NoError(t, err)
	_, err = staff.Create(ctx, nil)
	require.ErrorContains(t, err, "StaffLogin.badge: a value is required")
	_, err = staff.Create(ctx, nil, stafflogin.SetBadge(""))
	require.ErrorContains(t, err, "StaffLogin.badge: ")
	_, err = staff.Create(ctx, nil, stafflogin.SetBadge("7"), stafflogin.SetShift(-1))
	require.ErrorContains(t, err, "StaffLogin.shift: ")
	_, err = staff.Create(ctx, nil, stafflogin.SetBadge("7"), stafflogin.SetShift(1))
	require.NoError(t, err)
}

func second[T any](_ T, err error) error { return err }

// TestConstraints: what the database refuses is an error for that call alone, names the column where it can, and shows no value.
func TestConstraints(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, a *app) {
		ann := a.client.User.Create().SetName("ann").SaveX(ctx)
		_, err := a.sessions.Create(ctx, nil, session.SetTicket("T0-for key 'x'"), session.SetRegion(1), session.SetDesk(1))
		require.NoError(t, err)
		type refusal struct {
			set    []session.Column
			kind   typedstore.Constraint
			column string
		}
		one := func(c session.Column) []session.Column { return []session.Column{c} }
		refusals := []refusal{
			{one(session.SetTicket("T0-for key 'x'")), typedstore.Unique, "ticket"},
			{[]session.Column{session.SetRegion(1), session.SetDesk(1)}, typedstore.Unique, ""},
			{one(session.SetUserID(ann.ID + 9999)), typedstore.ForeignKey, "user_id"},
			{one(session.SetImpersonatorID(ann.ID + 9999)), typedstore.ForeignKey, "user_shadowed"},
			{one(session.SetI8(101)), typedstore.Check, "i8"},
		}
		switch a.db.Kind.Dialect {
		case dbtest.SQLite: // knows no lengths, and no names of foreign keys
			refusals[2].column, refusals[3].column = "", ""
		case dbtest.Postgres:
			refusals = append(refusals, refusal{one(session.SetLongName("T0-longer than five")), typedstore.Length, ""})
		case dbtest.MySQL:
			refusals = append(refusals, refusal{one(session.SetLongName("T0-longer than five")), typedstore.Length, "long_name"})
		}
		wrong := func(t *testing.T, err error, r refusal) { // also in goroutines
			t.Helper()
			var c *typedstore.ConstraintError
			if !assert.ErrorAs(t, err, &c) {
				return
			}
			assert.Equal(t, r.kind, c.Constraint, "%v", c.Unwrap())
			assert.Equal(t, r.column, c.Column, "%v", c.Unwrap())
			assert.NotContains(t, err.Error(), "T0")
			var column *entsession.ColumnError
			assert.Equal(t, r.column != "", errors.As(err, &column))
		}
		s, err := a.sessions.Create(ctx, []byte("x"), session.SetUserID(ann.ID))
		require.NoError(t, err)
		for _, r := range refusals {
			_, err := a.sessions.Create(ctx, nil, r.set...)
			wrong(t, err, r)
			wrong(t, a.sessions.Save(ctx, s, r.set...), r)
			wrong(t, second(a.sessions.Update(ctx, s.ID(), func(s *ent.StoredSession) error { s.Set(r.set...); return nil })), r)
			wrong(t, second(a.sessions.Rotate(ctx, s.ID(), r.set...)), r)
		}
		require.Equal(t, 2, a.count(t))
		require.NoError(t, a.sessions.Save(ctx, s, session.SetNotes("fine")))

		// Among others that travel with them.
		var wg sync.WaitGroup
		for i := range 32 {
			wg.Go(func() {
				for n := range 4 {
					if i%4 == 0 {
						r := refusals[(i/4+n)%len(refusals)]
						_, err := a.sessions.Create(ctx, nil, r.set...)
						wrong(t, err, r)
						continue
					}
					s, err := a.sessions.Create(ctx, nil, session.SetUserID(ann.ID), session.SetI(i))
					if check(t, err) {
						check(t, a.sessions.Save(ctx, s, session.SetI(-i)))
					}
				}
			})
		}
		wg.Wait()
		require.Equal(t, 2+24*4, a.count(t))
	})
}

// TestTyped goes through the rest of the methods.
func TestTyped(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, a *app) {
		ann := a.client.User.Create().SetName("ann").SaveX(ctx)
		bob := a.client.User.Create().SetName("bob").SaveX(ctx)
		s, err := a.sessions.Create(ctx, []byte("1"), session.SetUserID(ann.ID), session.SetDevice("phone"), session.SetImpersonatorID(bob.ID))
		require.NoError(t, err)
		other, err := a.sessions.Create(ctx, []byte("2"), session.SetUserID(ann.ID), session.SetDevice("tv"))
		require.NoError(t, err)
		_, err = a.sessions.Create(ctx, []byte("3"), session.SetUserID(bob.ID))
		require.NoError(t, err)

		who, err := s.QueryUser().Only(ctx)
		require.NoError(t, err)
		require.Equal(t, "ann", who.Name)
		as, err := s.QueryImpersonator().Only(ctx)
		require.NoError(t, err)
		require.Equal(t, "bob", as.Name)

		devices := map[string]string{}
		for s, err := range a.sessions.List(ctx, session.UserID(ann.ID)) {
			require.NoError(t, err)
			devices[s.Device] = string(s.Data)
		}
		require.Equal(t, map[string]string{"phone": "1", "tv": "2"}, devices)
		n := 0
		for s, err := range a.sessions.List(ctx, session.HasUserWith(user.Name("bob")), session.StateIn(session.StateNew)) {
			require.NoError(t, err)
			require.Equal(t, bob.ID, *s.UserID)
			n++
		}
		require.Equal(t, 1, n)

		// A second handle is overtaken.
		late, err := a.sessions.Load(ctx, s.ID())
		require.NoError(t, err)
		s.Set(session.SetDevice("laptop"))
		require.Equal(t, "phone", s.Device, "not saved yet")
		s.Data = []byte("saved")
		require.NoError(t, a.sessions.Save(ctx, s))
		require.Equal(t, "laptop", s.Device)
		late.Data = []byte("late")
		old := late.Session
		require.ErrorIs(t, a.sessions.Save(ctx, late, session.SetDevice("late")), entsession.ErrConflict)
		require.Same(t, old, late.Session)

		got, err := a.sessions.Update(ctx, s.ID(), func(s *ent.StoredSession) error {
			s.Data = append(s.Data, "!"...)
			s.Set(session.SetI(s.I + 1))
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, "saved!", string(got.Data))
		require.Equal(t, 1, got.I)
		own := errors.New("own")
		_, err = a.sessions.Update(ctx, s.ID(), func(*ent.StoredSession) error { return own })
		require.Equal(t, own, err)
		_, err = a.sessions.Update(ctx, s.ID(), nil)
		require.Error(t, err)

		fresh, err := a.sessions.Rotate(ctx, s.ID(), session.SetUserID(bob.ID))
		require.NoError(t, err)
		require.NotEqual(t, s.ID(), fresh.ID())
		require.Equal(t, bob.ID, *fresh.UserID)
		require.Equal(t, "laptop", fresh.Device)
		_, err = a.sessions.Load(ctx, s.ID())
		require.ErrorIs(t, err, entsession.ErrNotFound)

		require.NoError(t, a.sessions.Touch(ctx, fresh.ID()))
		revoked, err := a.sessions.Revoke(ctx, session.UserID(bob.ID), session.IDNEQ(fresh.Key()))
		require.NoError(t, err)
		require.Equal(t, 1, revoked)
		require.NoError(t, a.sessions.Touch(ctx, fresh.ID()))
		require.NoError(t, a.sessions.Delete(ctx, fresh.ID()))
		require.ErrorIs(t, a.sessions.Touch(ctx, fresh.ID()), entsession.ErrNotFound)
		require.NoError(t, a.sessions.Touch(ctx, other.ID()))

		require.ErrorIs(t, a.sessions.Save(ctx, nil), entsession.ErrInvalidID)
		require.ErrorIs(t, a.sessions.Save(ctx, &ent.StoredSession{}), entsession.ErrInvalidID)
		zero := &ent.StoredSession{}
		require.Equal(t, "", zero.ID()+zero.Key())
		require.True(t, zero.Expires().IsZero())
		zero.Set(session.SetDevice("x"))
		_ = fmt.Sprint(zero, (*ent.StoredSession)(nil))
	})
}

// TestSecrets: with plain ids the id is in no text that an entity or a session gives.
func TestSecrets(t *testing.T) {
	t.Parallel()
	a := start(t, dbtest.Kinds(dbtest.SQLite)[0])
	store := a.open(t, session.Table, func(c *entsession.Config) { c.PlainIDs = true })
	sessions, err := ent.NewSessionStore(store, a.client)
	require.NoError(t, err)
	s, err := sessions.Create(ctx, []byte("the payload"), session.SetSecret("the secret"), session.SetDevice("phone"))
	require.NoError(t, err)
	s, err = sessions.Load(ctx, s.ID())
	require.NoError(t, err)
	require.Equal(t, s.ID(), s.Session.ID)
	require.Equal(t, "the secret", s.Secret)
	var b strings.Builder
	log := slog.New(slog.NewJSONHandler(&b, nil))
	log.Info("x", "stored", s, "entity", s.Session)
	slog.New(slog.NewTextHandler(&b, nil)).Info("x", "stored", s, "entity", s.Session)
	text, err := json.Marshal(s.Session)
	require.NoError(t, err)
	_, err = json.Marshal(s)
	require.Error(t, err)
	row, err := a.client.Session.Query().Only(ctx)
	require.NoError(t, err)
	shown := b.String() + string(text) + err2(json.Marshal(s)) + fmt.Sprintf("%v %+v %s %#v %q %x", s, s, s, s, s, s) + fmt.Sprintf("%v %+v %s", s.Session, s.Session, s.Session) + row.String()
	require.Contains(t, shown, "phone")
	for _, secret := range []string{s.ID(), "the payload", "the secret"} {
		require.NotContains(t, shown, secret)
	}
}

func err2(_ []byte, err error) string { return err.Error() }

// TestTwoTables: one application, several kinds of sessions, one of them in a table of three columns.
func TestTwoTables(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, a *app) {
		staff, err := ent.NewStaffLoginStore(a.open(t, stafflogin.Table), a.client)
		require.NoError(t, err)
		old, err := ent.NewOldSessions(a.open(t, legacy.Table), a.client)
		require.NoError(t, err)
		s, err := a.sessions.Create(ctx, []byte("customer"))
		require.NoError(t, err)
		b, err := staff.Create(ctx, []byte("staff"), stafflogin.SetBadge("7"))
		require.NoError(t, err)
		o, err := old.Create(ctx, []byte("old"))
		require.NoError(t, err)
		_, err = staff.Load(ctx, s.ID())
		require.ErrorIs(t, err, entsession.ErrNotFound)
		b, err = staff.Load(ctx, b.ID())
		require.NoError(t, err)
		require.Equal(t, "7", b.Badge)
		o, err = old.Load(ctx, o.ID())
		require.NoError(t, err)
		o.Data = []byte("older")
		require.NoError(t, old.Save(ctx, o))
		n, err := staff.Revoke(ctx, stafflogin.Badge("7"))
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.NoError(t, a.sessions.Touch(ctx, s.ID()))

		_, err = ent.NewSessionStore(staff.Untyped(), a.client)
		require.ErrorContains(t, err, "the store's table is staff_sessions, and the schema's is sessions")
		_, err = ent.NewSessionStore(nil, a.client)
		require.Error(t, err)
		_, err = ent.NewSessionStore(a.store, nil)
		require.Error(t, err)
	})
}

// TestColumnsFromContext: what Config.ColumnsFunc brings goes before a default, and is no required value that is missing.
func TestColumnsFromContext(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, a *app) {
		brought := func(columns ...typedstore.Column) func(c *entsession.Config) {
			return func(c *entsession.Config) {
				c.ColumnsFunc = func(context.Context) (out []entsession.Column) {
					for _, c := range columns {
						untyped, err := c.Untyped()
						if check(t, err) {
							out = append(out, untyped)
						}
					}
					return out
				}
			}
		}
		staff, err := ent.NewStaffLoginStore(a.open(t, stafflogin.Table, brought(stafflogin.SetBadge("7").Column)), a.client)
		require.NoError(t, err)
		b, err := staff.Create(ctx, nil)
		require.NoError(t, err)
		b, err = staff.Load(ctx, b.ID())
		require.NoError(t, err)
		require.Equal(t, "7", b.Badge)

		sessions, err := ent.NewSessionStore(a.open(t, session.Table, brought(session.SetState(session.StateTrusted).Column)), a.client)
		require.NoError(t, err)
		s, err := sessions.Create(ctx, nil)
		require.NoError(t, err)
		s, err = sessions.Load(ctx, s.ID())
		require.NoError(t, err)
		require.Equal(t, session.StateTrusted, s.State)
		s, err = sessions.Create(ctx, nil, session.SetState(session.StateNew))
		require.NoError(t, err)
		s, err = sessions.Load(ctx, s.ID())
		require.NoError(t, err)
		require.Equal(t, session.StateNew, s.State, "what is named goes first")

		_, err = session.SetState("old").Untyped()
		require.ErrorContains(t, err, "Session.state")
		_, err = session.Column{}.Untyped()
		require.Error(t, err)
	})
}

// TestUnknownColumn: one that a newer version of the application has added.
func TestUnknownColumn(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, a *app) {
		a.exec(t, "ALTER TABLE sessions ADD COLUMN color varchar(20) NULL")
		s, err := a.sessions.Create(ctx, nil)
		require.NoError(t, err)
		a.exec(t, "UPDATE sessions SET color = 'red'")
		for range 2 {
			s, err = a.sessions.Load(ctx, s.ID())
			require.NoError(t, err)
			v, err := s.Value("color")
			require.NoError(t, err)
			require.Equal(t, "red", v)
			require.NoError(t, a.sessions.Save(ctx, s, session.SetDevice("phone")))
			a.exec(t, "UPDATE sessions SET device = NULL")
		}
	})
}

// TestUnreadable: a column that something else has filled with what its field can't take harms its own session only.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, a *app) {
		s, err := a.sessions.Create(ctx, []byte("x"), session.SetAddress(types.Addr{}), session.SetDevice("bad"))
		require.NoError(t, err)
		_, err = a.sessions.Create(ctx, []byte("y"), session.SetDevice("good"))
		require.NoError(t, err)
		a.exec(t, "UPDATE sessions SET address = 'nowhere' WHERE device = 'bad'")
		_, err = a.sessions.Load(ctx, s.ID())
		var column *entsession.ColumnError
		require.ErrorAs(t, err, &column)
		require.Equal(t, "address", column.Column)
		require.NotContains(t, err.Error(), "nowhere")
		_, err = a.sessions.Update(ctx, s.ID(), func(*ent.StoredSession) error { return nil })
		require.ErrorAs(t, err, &column)
		var keys []string
		good := 0
		for s, err := range a.sessions.List(ctx) {
			if err != nil {
				require.ErrorAs(t, err, &column)
				keys = append(keys, s.Session.ID)
				continue
			}
			require.Equal(t, "good", s.Device)
			good++
		}
		require.Equal(t, []string{s.Key()}, keys)
		require.Equal(t, 1, good)
		n, err := a.sessions.Revoke(ctx, session.ID(keys[0]))
		require.NoError(t, err)
		require.Equal(t, 1, n)
	})
}

// TestNull: a pointer that is nil is NULL, wherever it stands.
func TestNull(t *testing.T) {
	t.Parallel()
	a := start(t, dbtest.Kinds(dbtest.SQLite)[0])
	s, err := a.sessions.Create(ctx, nil, session.SetNick(nil), session.SetNick(&sql.NullString{}), session.SetKey(nil), session.Column{})
	require.NoError(t, err)
	s, err = a.sessions.Load(ctx, s.ID())
	require.NoError(t, err)
	require.False(t, s.Nick != nil && s.Nick.Valid)
}

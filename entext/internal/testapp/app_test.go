package testapp

import (
	"context"
	"database/sql"
	"fmt"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	entsql "entgo.io/ent/dialect/sql"
	"github.com/go-sql-driver/mysql"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/entext/internal/testapp/ent"
	"github.com/entsession/entsession/entext/internal/testapp/ent/session"
	"github.com/entsession/entsession/entext/internal/testapp/types"
	"github.com/entsession/entsession/internal/dbtest"
	_ "github.com/entsession/entsession/mysql"
	_ "github.com/entsession/entsession/sqlite"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

var creating sync.Mutex

var ctx = context.Background()

// app is an application on a database of its own, as its documentation says to set it up.
type app struct {
	db       *dbtest.DB
	pool     *sql.DB
	client   *ent.Client
	store    *entsession.Store
	sessions *ent.SessionStore
}

// onEach runs a test on every database.
func onEach(t *testing.T, test func(t *testing.T, a *app)) {
	for _, kind := range dbtest.Kinds() {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			test(t, start(t, kind))
		})
	}
}

func start(t *testing.T, kind dbtest.Kind) *app {
	a := &app{db: kind.New(t)}
	a.pool = a.db.Admin(t)
	if kind.Dialect == dbtest.MySQL { // ent wants times as times
		cfg, err := mysql.ParseDSN(a.db.DSN())
		require.NoError(t, err)
		cfg.ParseTime = true
		connector, err := mysql.NewConnector(cfg)
		require.NoError(t, err)
		a.pool = sql.OpenDB(connector)
		t.Cleanup(func() { require.NoError(t, a.pool.Close()) })
	}
	if kind.Dialect == dbtest.SQLite {
		a.pool.SetMaxOpenConns(1)
		a.exec(t, "PRAGMA foreign_keys = 1")
	}
	a.client = ent.NewClient(ent.Driver(entsql.OpenDB(kind.Dialect, a.pool)))
	creating.Lock() // ent writes to the tables that it generated
	err := a.client.Schema.Create(ctx)
	creating.Unlock()
	require.NoError(t, err)
	a.store = a.open(t, session.Table)
	a.sessions, err = ent.NewSessionStore(a.store, a.client)
	require.NoError(t, err)
	return a
}

func (a *app) open(t testing.TB, table string, change ...func(*entsession.Config)) *entsession.Store {
	t.Helper()
	cfg := entsession.Config{Driver: "postgres", Database: a.db.Name, Username: a.db.User, Password: a.db.Password, Hostname: a.db.Host, Port: a.db.Port, Table: table}
	switch a.db.Kind.Dialect {
	case dbtest.MySQL:
		cfg.Driver = "mysql"
	case dbtest.SQLite:
		cfg.Driver, cfg.Database = "sqlite", a.db.File
	}
	for _, c := range change {
		c(&cfg)
	}
	s, err := entsession.Open(ctx, cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func (a *app) exec(t testing.TB, text string, args ...any) {
	t.Helper()
	_, err := a.pool.ExecContext(ctx, text, args...)
	require.NoError(t, err)
}

// sample is a value for each column, different for each n.
type sample struct {
	field   string // of ent.Session
	set     session.Column
	want    any
	cleared session.Column // the zero one if it can't be NULL
}

func ptr[T any](v T) *T { return &v }

func samples(n int) []sample {
	var (
		at    = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Add(time.Duration(n) * time.Second)
		id    = uuid.NewSHA1(uuid.NameSpaceURL, []byte(fmt.Sprint(n)))
		addr  = types.Addr{Addr: netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)})}
		text  = fmt.Sprintf(`%d "quoted", \ {a,b} 'ä' NULL`, n)
		home  = &url.URL{Scheme: "https", Host: "example.com", Path: fmt.Sprint("/", n)}
		prefs = &types.Prefs{Theme: text, More: map[string][]int{"a": {n, -n}}}
		state = []session.State{session.StateNew, session.StateTrusted}[n%2]
		level = []types.Level{types.Low, types.High}[n%2]
	)
	return []sample{
		{"Device", session.SetDevice(fmt.Sprint("phone ", n)), fmt.Sprint("phone ", n), session.ClearDevice()},
		{"LongName", session.SetLongName(fmt.Sprint(n)), ptr(fmt.Sprint(n)), session.ClearLongName()},
		{"Notes", session.SetNotes(text), text, session.ClearNotes()},
		{"Admin", session.SetAdmin(n%2 == 0), n%2 == 0, session.Column{}},
		{"I", session.SetI(-n), -n, session.ClearI()},
		{"I8", session.SetI8(int8(n % 100)), int8(n % 100), session.ClearI8()},
		{"I16", session.SetI16(int16(-n)), int16(-n), session.ClearI16()},
		{"I32", session.SetI32(int32(-n) - 1<<30), int32(-n) - 1<<30, session.ClearI32()},
		{"I64", session.SetI64(int64(n) - 1<<62), ptr(int64(n) - 1<<62), session.ClearI64()},
		{"U", session.SetU(uint(n)), uint(n), session.ClearU()},
		{"U8", session.SetU8(uint8(n)), uint8(n), session.ClearU8()},
		{"U16", session.SetU16(uint16(n)), uint16(n), session.ClearU16()},
		{"U32", session.SetU32(uint32(n)), uint32(n), session.ClearU32()},
		{"U64", session.SetU64(uint64(n) + 1<<62), uint64(n) + 1<<62, session.ClearU64()},
		{"F64", session.SetF64(float64(n) / 7), float64(n) / 7, session.ClearF64()},
		{"F32", session.SetF32(float32(n) + 0.5), float32(n) + 0.5, session.ClearF32()},
		{"Seen", session.SetSeen(at), ptr(at), session.ClearSeen()},
		{"Changed", session.SetChanged(at), at, session.Column{}},
		{"Request", session.SetRequest(id), ptr(id), session.ClearRequest()},
		{"Trace", session.SetTrace(id), id, session.Column{}},
		{"Prefs", session.SetPrefs(prefs), prefs, session.ClearPrefs()},
		{"History", session.SetHistory([]url.URL{*home}), []url.URL{*home}, session.ClearHistory()},
		{"Roles", session.SetRoles([]string{text, "b"}), []string{text, "b"}, session.ClearRoles()},
		{"Key", session.SetKey([]byte{0, byte(n), 0xff, '\\', '\''}), ptr([]byte{0, byte(n), 0xff, '\\', '\''}), session.ClearKey()},
		{"State", session.SetState(state), state, session.Column{}},
		{"Level", session.SetLevel(level), ptr(level), session.ClearLevel()},
		{"Role", session.SetRole(types.Role(text)), types.Role(text), session.ClearRole()},
		{"Balance", session.SetBalance(types.Cents(-n)), types.Cents(-n), session.Column{}},
		{"Address", session.SetAddress(addr), addr, session.ClearAddress()},
		{"Proxy", session.SetProxy(addr), ptr(addr), session.ClearProxy()},
		{"Nick", session.SetNick(&sql.NullString{String: text, Valid: true}), &sql.NullString{String: text, Valid: true}, session.ClearNick()},
		{"Home", session.SetHome(home), home, session.ClearHome()},
		{"Tags", session.SetTags(types.Tags{All: []string{text[:1], "x"}}), types.Tags{All: []string{text[:1], "x"}}, session.ClearTags()},
		{"Amount", session.SetAmount(addr), addr, session.ClearAmount()},
		{"Secret", session.SetSecret(text), text, session.ClearSecret()},
		{"Ticket", session.SetTicket(fmt.Sprint("ticket ", n)), ptr(fmt.Sprint("ticket ", n)), session.ClearTicket()},
		{"Region", session.SetRegion(n), ptr(n), session.ClearRegion()},
		{"Desk", session.SetDesk(n), ptr(n), session.ClearDesk()},
	}
}

func columns(all []sample) (out []session.Column) {
	for _, s := range all {
		out = append(out, s.set)
	}
	return out
}

// holds checks every field of a session.
func holds(t *testing.T, s *ent.Session, all []sample) {
	t.Helper()
	for _, v := range all {
		got := reflect.ValueOf(s).Elem().FieldByName(v.field).Interface()
		switch want := v.want.(type) {
		case time.Time:
			assert.True(t, want.Equal(got.(time.Time)), "%s: %v, not %v", v.field, got, want)
		case *time.Time:
			at, _ := got.(*time.Time)
			assert.True(t, at != nil && want.Equal(*at), "%s: %v, not %v", v.field, got, want)
		default:
			assert.Equal(t, v.want, got, v.field)
		}
	}
}

// asEnt checks that a session is what ent reads, but for the payload.
func (a *app) asEnt(t *testing.T, s *ent.StoredSession) *ent.Session {
	t.Helper()
	row, err := a.client.Session.Get(ctx, s.Key())
	require.NoError(t, err)
	row.ID = strings.TrimRight(row.ID, " ") // PostgreSQL pads char(72)
	want, got := reflect.ValueOf(row).Elem(), reflect.ValueOf(s.Session).Elem()
	for i := range want.NumField() {
		f := want.Type().Field(i)
		if !f.IsExported() || f.Name == "Data" {
			continue
		}
		w, g := want.Field(i).Interface(), got.Field(i).Interface()
		if at, ok := w.(time.Time); ok { // a location is compared by its address
			w, g = at.UnixNano(), g.(time.Time).UnixNano()
		}
		if at, ok := w.(*time.Time); ok && at != nil {
			require.NotNil(t, g, f.Name)
			w, g = at.UnixNano(), g.(*time.Time).UnixNano()
		}
		require.Equal(t, w, g, f.Name)
	}
	return row
}

func (a *app) quote(name string) string {
	if a.db.Kind.Dialect == dbtest.MySQL {
		return "`" + name + "`"
	}
	return `"` + name + `"`
}

func TestEveryType(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, a *app) {
		first, second := samples(101), samples(202)
		s, err := a.sessions.Create(ctx, []byte("payload"), columns(first)...)
		require.NoError(t, err)
		holds(t, s.Session, first)
		require.Equal(t, "main", s.Tenant, "the schema's default")
		require.Equal(t, s.Key(), s.Session.ID)
		require.NotEqual(t, s.ID(), s.Session.ID)
		require.Nil(t, s.Session.Data)

		got, err := a.sessions.Load(ctx, s.ID())
		require.NoError(t, err)
		holds(t, got.Session, first)
		require.Equal(t, "payload", string(got.Data))
		require.Equal(t, got.Expires().Unix(), got.Timeout)
		require.NotZero(t, got.Created)
		require.NotZero(t, got.Version)

		// As ent reads the row.
		row := a.asEnt(t, got)
		holds(t, row, first)
		require.NotNil(t, row.Data)

		got.Data = []byte("changed")
		require.NoError(t, a.sessions.Save(ctx, got, columns(second)...))
		holds(t, got.Session, second)
		got, err = a.sessions.Load(ctx, s.ID())
		require.NoError(t, err)
		holds(t, got.Session, second)
		require.Equal(t, "changed", string(got.Data))

		// Everything that can be NULL becomes it.
		var clear []session.Column
		for _, v := range second {
			clear = append(clear, v.cleared)
		}
		got, err = a.sessions.Update(ctx, s.ID(), func(s *ent.StoredSession) error {
			s.Set(clear...)
			return nil
		})
		require.NoError(t, err)
		require.Nil(t, got.Seen)
		got, err = a.sessions.Load(ctx, s.ID())
		require.NoError(t, err)
		require.Nil(t, got.Seen)
		require.Empty(t, got.Device)
		a.asEnt(t, got)
		for _, column := range []string{"device", "prefs", "key", "home", "nick", "f32"} {
			var n int
			require.NoError(t, a.pool.QueryRowContext(ctx, "SELECT count(*) FROM sessions WHERE "+a.quote(column)+" IS NULL").Scan(&n))
			require.Equal(t, 1, n, column)
		}
	})
}

// TestEveryTypeTogether: many at once, which travel in batches where they can, and are each as good as alone.
func TestEveryTypeTogether(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string][]string{
		"all columns": nil,
		// MySQL sends calls alone that write a unique column, one with a foreign key or a float; PostgreSQL those with a real, or with bytes for a text
		// (which is what a BinaryValueScanner gives).
		"what can share a statement": {"Ticket", "Region", "Desk", "F32", "F64", "Home"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onEach(t, func(t *testing.T, a *app) {
				var err error
				a.store = a.open(t, session.Table, func(c *entsession.Config) { c.MaxOpenConns = 2 }) // so that calls have to wait, on a quick machine too
				a.sessions, err = ent.NewSessionStore(a.store, a.client)
				require.NoError(t, err)
				together(t, a, func(n int) []sample {
					return slices.DeleteFunc(samples(n), func(s sample) bool { return slices.Contains(leave, s.field) })
				})
				if a.db.Kind.Dialect == dbtest.SQLite || leave == nil {
					return
				}
				for _, lane := range a.store.Stats().Lanes {
					if lane.Name == "save" || lane.Name == "create" {
						require.NotZero(t, lane.Batched, lane.Name)
						require.Zero(t, lane.Failed, lane.Name)
					}
				}
			})
		})
	}
}

func together(t *testing.T, a *app, samples func(int) []sample) {
	const callers, rounds = 48, 3
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			n := 1000 + i
			s, err := a.sessions.Create(ctx, fmt.Append(nil, n), columns(samples(n))...)
			if !check(t, err) {
				return
			}
			for range rounds {
				n += callers
				s, err = a.sessions.Load(ctx, s.ID())
				if !check(t, err) {
					return
				}
				s.Data = fmt.Append(nil, n)
				if !check(t, a.sessions.Save(ctx, s, columns(samples(n))...)) {
					return
				}
				s, err = a.sessions.Load(ctx, s.ID())
				if !check(t, err) {
					return
				}
				holds(t, s.Session, samples(n))
				if string(s.Data) != fmt.Sprint(n) {
					t.Errorf("%s, not %d", s.Data, n)
				}
			}
		})
	}
	wg.Wait()
}

func check(t *testing.T, err error) bool {
	if err != nil {
		t.Error(err)
	}
	return err == nil
}

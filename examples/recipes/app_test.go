package recipes

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/examples/recipes/ent"
	"github.com/entsession/entsession/examples/recipes/ent/session"
	"github.com/entsession/entsession/internal/dbtest"
	_ "github.com/entsession/entsession/mysql"
	_ "github.com/entsession/entsession/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(dbtest.Runner(m)) }

// onEach runs a test on a database of each dialect.
func onEach(t *testing.T, test func(t *testing.T, e *env)) {
	t.Helper()
	t.Parallel()
	for _, dialect := range []string{dbtest.SQLite, dbtest.Postgres, dbtest.MySQL} {
		kind := dbtest.Kinds(dialect)[0]
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			test(t, newEnv(t, kind))
		})
	}
}

// env is a database with the tables, and an App on it.
type env struct {
	*App
	kind dbtest.Kind
	cfg  entsession.Config
}

var creating sync.Mutex // ent writes to the tables that it generated

func newEnv(t *testing.T, kind dbtest.Kind) *env {
	t.Helper()
	db := kind.New(t)
	cfg := entsession.Config{
		Driver: kind.Dialect, Database: db.Name, Username: db.User, Password: db.Password, Hostname: db.Host, Port: db.Port,
		Table: session.Table, MaxOpenConns: 4,
	}
	if db.File != "" {
		cfg.Database, cfg.Params = db.File, map[string]string{"synchronous": "off"}
	}
	e := &env{kind: kind, cfg: cfg}
	e.App = e.open(t)
	creating.Lock()
	defer creating.Unlock()
	require.NoError(t, e.client.Schema.Create(t.Context()))
	return e
}

// open is another process of the application: pools, client and store of its own.
func (e *env) open(t *testing.T) *App {
	t.Helper()
	drv, err := entsession.OpenDriver(e.cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, drv.Close()) })
	client := ent.NewClient(ent.Driver(drv))
	store, err := entsession.Open(t.Context(), e.cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	sessions, err := ent.NewSessionStore(store, client)
	require.NoError(t, err)
	return &App{client, sessions}
}

func (e *env) user(t *testing.T, name, password string) int {
	t.Helper()
	u, err := e.client.User.Create().SetName(name).SetPassword(password).Save(t.Context())
	require.NoError(t, err)
	return u.ID
}

func (e *env) signIn(t *testing.T, name, password string) *ent.StoredSession {
	t.Helper()
	s, err := e.SignIn(t.Context(), name, password)
	require.NoError(t, err)
	return s
}

func (e *env) live(t *testing.T, s *ent.StoredSession) bool {
	t.Helper()
	_, err := e.sessions.Load(context.WithoutCancel(t.Context()), s.ID())
	if err != nil {
		require.ErrorIs(t, err, entsession.ErrNotFound)
	}
	return err == nil
}

func (e *env) requireCount(t *testing.T, want, userID int) {
	t.Helper()
	n, err := e.sessions.Count(t.Context(), session.UserID(userID))
	require.NoError(t, err)
	require.Equal(t, want, n)
}

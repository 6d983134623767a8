package recipes

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/examples/recipes/ent"
	"github.com/entsession/entsession/examples/recipes/ent/session"
	"github.com/entsession/entsession/internal/dbtest"
	"github.com/entsession/entsession/typedstore"
)

// TestDocs: what the page shows is what is tested here.
func TestDocs(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/recipes.md")
	require.NoError(t, err)
	sources := ""
	for _, file := range []string{"recipes.go", "columns_test.go", "ent/schema/session.go", "ent/schema/user.go"} {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		sources += string(text) + "\n"
	}
	flat := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```\n").FindAllStringSubmatch(string(page), -1)
	require.NotEmpty(t, blocks)
	for _, b := range blocks {
		for part := range strings.SplitSeq(b[1], "\n\n") {
			require.Contains(t, flat(sources), flat(part))
		}
	}
}

func TestDevices(t *testing.T) {
	onEach(t, func(t *testing.T, e *env) {
		ann, bob := e.user(t, "ann", "a"), e.user(t, "bob", "b")
		laptop, phone, desk, other := e.signIn(t, "ann", "a"), e.signIn(t, "ann", "a"), e.signIn(t, "ann", "a"), e.signIn(t, "bob", "b")
		keys := func(userID int) (keys []string) {
			all, err := e.Devices(t.Context(), userID)
			require.NoError(t, err)
			for _, s := range all {
				keys = append(keys, s.Key())
			}
			return keys
		}
		require.ElementsMatch(t, []string{laptop.Key(), phone.Key(), desk.Key()}, keys(ann))

		found, err := e.SignOutDevice(t.Context(), bob, phone.Key())
		require.NoError(t, err)
		require.False(t, found, "it is not bob's")
		found, err = e.SignOutDevice(t.Context(), ann, phone.Key())
		require.NoError(t, err)
		require.True(t, found)
		require.False(t, e.live(t, phone))
		require.ElementsMatch(t, []string{laptop.Key(), desk.Key()}, keys(ann))

		n, err := e.SignOutOthers(t.Context(), ann, laptop.Key())
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.Equal(t, []string{laptop.Key()}, keys(ann))
		require.True(t, e.live(t, other))
	})
}

func TestDeletedUser(t *testing.T) {
	onEach(t, func(t *testing.T, e *env) {
		ann, bob := e.user(t, "ann", "a"), e.user(t, "bob", "b")
		s, other := e.signIn(t, "ann", "a"), e.signIn(t, "bob", "b")
		acting, err := e.ActAs(t.Context(), s, ann, bob)
		require.NoError(t, err)
		require.NoError(t, e.client.User.DeleteOneID(ann).Exec(t.Context()))
		require.False(t, e.live(t, s))
		require.False(t, e.live(t, acting))
		require.True(t, e.live(t, other))
		s.Data = []byte("late")
		require.ErrorIs(t, e.sessions.Save(t.Context(), s), entsession.ErrNotFound)
		require.False(t, e.live(t, s))
		_, err = e.sessions.Create(t.Context(), nil, session.SetUserID(ann))
		var refused *typedstore.ConstraintError
		require.ErrorAs(t, err, &refused)
		require.Equal(t, typedstore.ForeignKey, refused.Constraint)
	})
}

func TestActAs(t *testing.T) {
	onEach(t, func(t *testing.T, e *env) {
		support, ann := e.user(t, "support", "s"), e.user(t, "ann", "a")
		own, hers := e.signIn(t, "support", "s"), e.signIn(t, "ann", "a")
		acting, err := e.ActAs(t.Context(), own, support, ann)
		require.NoError(t, err)
		loaded, err := e.sessions.Load(t.Context(), acting.ID())
		require.NoError(t, err)
		require.Equal(t, ann, *loaded.UserID)
		require.Equal(t, support, *loaded.ActorID)
		require.True(t, e.live(t, own), "the own session is what it was")

		// She signs out everywhere: that ends what is done in her name, and nothing else of support's.
		_, err = e.SignOutOthers(t.Context(), ann, hers.Key())
		require.NoError(t, err)
		require.False(t, e.live(t, acting))
		require.True(t, e.live(t, own))

		acting, err = e.ActAs(t.Context(), own, support, ann)
		require.NoError(t, err)
		require.NoError(t, e.SignOut(t.Context(), own, support))
		require.False(t, e.live(t, acting))
		require.True(t, e.live(t, hers))
		_, err = e.ActAs(t.Context(), own, support, ann)
		require.ErrorIs(t, err, entsession.ErrNotFound, "signed out meanwhile")
		e.requireCount(t, 1, ann)

		own = e.signIn(t, "support", "s")
		acting, err = e.ActAs(t.Context(), own, support, ann)
		require.NoError(t, err)
		require.NoError(t, e.ChangePassword(t.Context(), support, "new"))
		require.False(t, e.live(t, own))
		require.False(t, e.live(t, acting))
	})
}

// TestSeats has many sign in at once, on two processes, while sessions get new ids.
func TestSeats(t *testing.T) {
	for _, endOldest := range []bool{true, false} {
		t.Run(fmt.Sprintf("endOldest=%v", endOldest), func(t *testing.T) {
			onEach(t, func(t *testing.T, e *env) { testSeats(t, e, endOldest) })
		})
	}
}

func testSeats(t *testing.T, e *env, endOldest bool) {
	const limit, callers, each = 3, 8, 3
	apps := []*App{e.App, e.open(t)}
	ann, bob := e.user(t, "ann", "a"), e.user(t, "bob", "b")
	signIn := func(a *App) (*ent.StoredSession, error) {
		s, err := a.sessions.Create(t.Context(), nil, session.SetUserID(ann), session.SetSeat(rand.Int64()))
		if err != nil {
			return nil, err
		}
		return s, a.TakeSeat(t.Context(), ann, s, limit, endOldest)
	}
	other, err := e.sessions.Create(t.Context(), nil, session.SetUserID(bob), session.SetSeat(1))
	require.NoError(t, err)
	require.NoError(t, e.TakeSeat(t.Context(), bob, other, 1, endOldest))

	var (
		all      sync.WaitGroup
		mu       sync.Mutex
		admitted []*ent.StoredSession // as they are now: a rotated one is replaced
		refused  int
		seats    []int64 // of all that were ever admitted
	)
	for n := range callers {
		all.Go(func() {
			a := apps[n%2]
			for range each {
				s, err := signIn(a)
				if errors.Is(err, ErrTooMany) {
					mu.Lock()
					refused++
					mu.Unlock()
					continue
				}
				if err != nil {
					t.Errorf("signing in: %v", err)
					return
				}
				mu.Lock()
				seats = append(seats, s.Seat)
				live, err := a.sessions.Count(t.Context(), session.UserID(ann), session.SeatIn(seats...))
				mu.Unlock()
				if err != nil || live > limit {
					t.Errorf("%d at once: %v", live, err)
				}
				// It is counted under a new id as well.
				switch fresh, err := a.sessions.Rotate(t.Context(), s.ID()); {
				case err == nil:
					s = fresh
				case !errors.Is(err, entsession.ErrNotFound): // ended by a later sign-in
					t.Errorf("rotating: %v", err)
				}
				mu.Lock()
				admitted = append(admitted, s)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	live := slices.DeleteFunc(slices.Clone(admitted), func(s *ent.StoredSession) bool { return !e.live(t, s) })
	require.Len(t, live, limit)
	e.requireCount(t, limit, ann)
	if !endOldest {
		require.Len(t, admitted, limit)
		require.Equal(t, callers*each-limit, refused)
		require.NoError(t, e.sessions.Delete(t.Context(), live[0].ID()))
		last, err := signIn(apps[0])
		require.NoError(t, err, "there is room again")
		require.True(t, e.live(t, last))
	} else {
		require.Len(t, admitted, callers*each)
		var order []*ent.StoredSession
		for n := range limit + 1 {
			s, err := signIn(apps[n%2])
			require.NoError(t, err)
			order = append(order, s)
		}
		require.False(t, e.live(t, order[0]), "the oldest is out")
		for _, s := range order[1:] {
			require.True(t, e.live(t, s))
		}
	}
	require.True(t, e.live(t, other))
}

func TestOnline(t *testing.T) {
	onEach(t, func(t *testing.T, e *env) {
		spy := &spy{Driver: e.driver(t)}
		e.client = ent.NewClient(ent.Driver(spy))
		ann, bob, eve := e.user(t, "ann", "a"), e.user(t, "bob", "b"), e.user(t, "eve", "e")
		now := time.Now()
		seen := func(userID int, ago time.Duration) *ent.StoredSession {
			s, err := e.sessions.Create(t.Context(), nil, session.SetUserID(userID), session.SetLastSeen(now.Add(-ago)))
			require.NoError(t, err)
			return s
		}
		seen(ann, 0)
		seen(ann, time.Minute)
		seen(bob, 10*time.Minute)
		gone := seen(eve, 0)
		acting, err := e.ActAs(t.Context(), gone, eve, bob)
		require.NoError(t, err)
		require.NoError(t, e.sessions.Save(t.Context(), acting, session.SetLastSeen(now)))
		_, err = e.sessions.Create(t.Context(), nil, session.SetLastSeen(now)) // nobody in particular
		require.NoError(t, err)
		online := func(within time.Duration) []int {
			ids, err := e.Online(t.Context(), within)
			require.NoError(t, err)
			return ids
		}
		require.ElementsMatch(t, []int{ann, eve}, online(5*time.Minute))
		require.ElementsMatch(t, []int{ann, bob, eve}, online(15*time.Minute))
		require.NoError(t, e.sessions.Delete(t.Context(), gone.ID()))
		require.Equal(t, []int{ann}, online(5*time.Minute))

		// Among many who were here before, an index finds them.
		db := spy.Driver.DB()
		exec := func(statement string) {
			_, err := db.ExecContext(t.Context(), statement)
			require.NoError(t, err, statement)
		}
		first, err := e.client.Session.Create().SetID("a").SetUserID(bob).SetTimeout(now.Unix() + 1000).SetCreated(now.Unix()).SetLastSeen(now.Add(-time.Hour)).Save(t.Context())
		require.NoError(t, err)
		require.Equal(t, "a", strings.TrimSpace(first.ID))
		id := map[string]string{dbtest.MySQL: "concat(id, '%c')"}[e.kind.Dialect] + map[bool]string{true: "id || '%c'"}[e.kind.Dialect != dbtest.MySQL]
		for n := range 13 { // twice as many each time
			exec("INSERT INTO sessions (id, timeout, created, user_id, last_seen) SELECT " + fmt.Sprintf(id, 'a'+n) +
				", timeout, created, user_id, last_seen FROM sessions WHERE id LIKE 'a%' AND version = 0")
		}
		exec(map[string]string{dbtest.MySQL: "ANALYZE TABLE sessions", dbtest.Postgres: "ANALYZE sessions", dbtest.SQLite: "ANALYZE"}[e.kind.Dialect])
		require.Equal(t, []int{ann}, online(5*time.Minute))
		plan := explain(t, db, e.kind.Dialect, spy.query, spy.args)
		t.Log(plan)
		require.Regexp(t, map[string]string{
			dbtest.SQLite: `USING INDEX session_last_seen_user_id \(last_seen>`, dbtest.Postgres: "(Index Scan using|Bitmap Index Scan on) session_last_seen_user_id",
			dbtest.MySQL: ` range \S+ session_last_seen_user_id `,
		}[e.kind.Dialect], plan)
	})
}

// spy keeps the last query.
type spy struct {
	*entsql.Driver
	query string
	args  []any
}

func (s *spy) Query(ctx context.Context, query string, args, v any) error {
	s.query, s.args = query, args.([]any)
	return s.Driver.Query(ctx, query, args, v)
}

var _ dialect.Driver = (*spy)(nil)

func (e *env) driver(t *testing.T) *entsql.Driver {
	t.Helper()
	drv, err := entsession.OpenDriver(e.cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, drv.Close()) })
	return drv
}

func explain(t *testing.T, db *sql.DB, kind, query string, args []any) string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), map[string]string{dbtest.SQLite: "EXPLAIN QUERY PLAN "}[kind]+map[bool]string{true: "EXPLAIN "}[kind != dbtest.SQLite]+query, args...)
	require.NoError(t, err)
	defer rows.Close()
	columns, err := rows.Columns()
	require.NoError(t, err)
	var plan strings.Builder
	for rows.Next() {
		values := make([]sql.NullString, len(columns))
		into := make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		require.NoError(t, rows.Scan(into...))
		for _, v := range values {
			plan.WriteString(v.String + " ")
		}
		plan.WriteString("\n")
	}
	require.NoError(t, rows.Err())
	return plan.String()
}

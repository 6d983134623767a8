package conformance

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/ent/session"
	"github.com/entsession/entsession/internal/dbtest"
	"github.com/entsession/entsession/internal/fault"
)

// What must hold for each of many calls that arrive at once, whether they travel together or not. together_ends.go has those in which
// something ends: a context, a session, the store.

// crowd is how many calls arrive at once.
const crowd = 64

// together makes n calls at once and returns their errors.
func together(n int, f func(i int) error) []error {
	errs, start := make([]error, n), make(chan struct{})
	var ready, ended sync.WaitGroup
	ready.Add(n)
	for i := range n {
		ended.Go(func() {
			ready.Done()
			<-start
			errs[i] = f(i)
		})
	}
	ready.Wait()
	close(start)
	ended.Wait()
	return errs
}

// crowd creates sessions, each with its number as the payload.
func (e *env) crowd(store *entsession.Store, n int, cols ...entsession.Column) []*entsession.Session {
	e.Helper()
	out := make([]*entsession.Session, n)
	none(e.T, together(n, func(i int) (err error) {
		out[i], err = store.Create(ctx, fmt.Append(nil, i), cols...)
		return err
	}))
	return out
}

// none fails on the first error.
func none(t *testing.T, errs []error) {
	t.Helper()
	for i, err := range errs {
		require.NoError(t, err, "call %d", i)
	}
}

func (e *env) data(s *entsession.Session) string {
	e.Helper()
	return e.text("SELECT data FROM sessions WHERE id = $1", s.Key())
}

// table reads text columns of all rows; "NULL" for one that is.
func (e *env) table(columns ...string) map[string][]string {
	e.Helper()
	query := "SELECT id"
	for _, c := range columns {
		query += ", COALESCE(" + c + ", 'NULL')"
	}
	rows, err := e.admin.QueryContext(ctx, query+" FROM sessions")
	require.NoError(e, err)
	defer rows.Close()
	out := map[string][]string{}
	for rows.Next() {
		var id string
		values := make([]string, len(columns))
		dest := []any{&id}
		for i := range values {
			dest = append(dest, &values[i])
		}
		require.NoError(e, rows.Scan(dest...))
		out[strings.TrimRight(id, " ")] = values
	}
	require.NoError(e, rows.Err())
	return out
}

// strangerID is an id that no store has given.
func strangerID() string {
	var raw [32]byte
	for i := range raw {
		raw[i] = byte(rand.IntN(256))
	}
	return base64.RawURLEncoding.EncodeToString(raw[:])
}

// testTogetherConstraint: what violates a constraint of the application's fails alone, with its own error, and leaves nothing.
func testTogetherConstraint(t *testing.T, e *env) {
	store := e.store()
	e.exec("ALTER TABLE sessions ADD COLUMN seat bigint NULL CHECK (seat <> 13)")
	e.exec("CREATE UNIQUE INDEX one_seat ON sessions (seat)")
	e.exec("INSERT INTO sessions (id, timeout, seat) VALUES ('holder', 1, 7)")
	seat := func(round, i int) entsession.Column {
		switch i {
		case 17, 18:
			return entsession.Set("seat", 13)
		case 40:
			return entsession.Set("seat", 7)
		}
		return entsession.Set("seat", 1000*round+100+i)
	}
	check := func(errs []error, what string) {
		t.Helper()
		for i, err := range errs {
			switch i {
			case 17, 18:
				require.Equal(t, fault.Constraint, fault.Of(err), "%s %d: %v", what, i, err)
			case 40:
				require.Equal(t, fault.Duplicate, fault.Of(err), "%s %d: %v", what, i, err)
			default:
				require.NoError(t, err, "%s %d", what, i)
			}
		}
	}
	sessions := e.crowd(store, crowd)
	for round := 1; round <= 3; round++ {
		saved := fmt.Sprint("saved ", round)
		check(together(crowd, func(i int) error {
			sessions[i].Data = []byte(saved)
			return store.Save(ctx, sessions[i], seat(round, i))
		}), "Save")
		require.EqualValues(t, crowd-3, e.int("SELECT count(*) FROM sessions WHERE data = $1", saved))
		for _, i := range []int{17, 18, 40} {
			require.Equal(t, fmt.Sprint(i), e.data(sessions[i]), "nothing of it is left")
		}
		created := fmt.Sprint("created ", round)
		check(together(crowd, func(i int) error {
			s, err := store.Create(ctx, []byte(created), seat(round+100, i))
			if (err == nil) != (s != nil) {
				return fmt.Errorf("error %v and session %v", err, s)
			}
			return err
		}), "Create")
		require.EqualValues(t, crowd-3, e.int("SELECT count(*) FROM sessions WHERE data = $1", created))
	}
	for _, i := range []int{17, 18, 40} {
		require.NoError(t, store.Save(ctx, sessions[i], entsession.Set("seat", nil)), "it can still be saved")
	}
}

// testTogetherConflict: of two saves of one state, one wins and one hears of it; their neighbours hear of nothing.
func testTogetherConflict(t *testing.T, e *env) {
	store := e.store()
	sessions := e.crowd(store, crowd)
	for round := range 12 {
		hot := sessions[round]
		var rivals [2]*entsession.Session
		for i := range rivals {
			rivals[i] = got0(t, store, hot.ID())
			rivals[i].Data = fmt.Appendf(nil, "rival %d", i)
		}
		errs := together(crowd, func(i int) error {
			switch {
			case i < 2:
				return store.Save(ctx, rivals[i])
			case i == round:
				return nil
			}
			sessions[i].Data = fmt.Appendf(nil, "round %d", round)
			return store.Save(ctx, sessions[i])
		})
		winner := 0
		if errs[0] != nil {
			winner = 1
		}
		require.NoError(t, errs[winner])
		require.ErrorIs(t, errs[1-winner], entsession.ErrConflict)
		none(t, errs[2:])
		require.Equal(t, string(rivals[winner].Data), e.data(hot))
		require.NoError(t, store.Save(ctx, rivals[winner]), "it has the new state")
		sessions[round], sessions[0], sessions[1] = got0(t, store, hot.ID()), got0(t, store, sessions[0].ID()), got0(t, store, sessions[1].ID())
		neighbours := crowd - 3
		if round < 2 {
			neighbours = crowd - 2
		}
		require.EqualValues(t, neighbours, e.int("SELECT count(*) FROM sessions WHERE data = $1", fmt.Sprint("round ", round)))
	}
}

// testTogetherLoads: everyone gets a session of his own, though it may have been one row for all.
func testTogetherLoads(t *testing.T, e *env) {
	store := e.store()
	e.exec("ALTER TABLE sessions ADD COLUMN token " + map[string]string{dbtest.Postgres: "bytea", dbtest.MySQL: "varbinary(40)", dbtest.SQLite: "blob"}[e.db.Kind.Dialect])
	token := entsession.Set("token", []byte("token"))
	hot, binary := e.create(store, "hot", token), e.create(store, "\x00binary", token)
	others := e.crowd(store, crowd, token)
	for range 5 {
		loaded := make([]*entsession.Session, 4*crowd)
		errs := together(len(loaded), func(i int) (err error) {
			id := [...]string{hot.ID(), strangerID(), others[i/4].ID(), binary.ID()}[i%4]
			if loaded[i], err = store.Load(ctx, id); err != nil {
				return err
			}
			// At once, while others are being given theirs.
			loaded[i].Data[0] = byte('A' + i%26)
			own, err := entsession.Get[[]byte](loaded[i], "token")
			if err == nil {
				own[0] = byte('A' + i%26)
			}
			loaded[i].Set(entsession.Set(session.FieldSubject, fmt.Sprint(i)))
			return err
		})
		for i, err := range errs {
			if i%4 == 1 {
				require.ErrorIs(t, err, entsession.ErrNotFound, "unknown")
				require.Nil(t, loaded[i])
				continue
			}
			require.NoError(t, err)
			letter := string(rune('A' + i%26))
			require.Equal(t, letter+[...]string{"hot", "", fmt.Sprint(i / 4), "\x00binary"}[i%4][1:], string(loaded[i].Data))
			own, err := entsession.Get[[]byte](loaded[i], "token")
			require.NoError(t, err)
			require.Equal(t, letter+"oken", string(own))
			subject, err := entsession.Get[string](loaded[i], session.FieldSubject)
			require.NoError(t, err)
			require.Equal(t, fmt.Sprint(i), subject)
		}
	}
	first, second := got0(t, store, hot.ID()), got0(t, store, hot.ID())
	first.Data, second.Data = []byte("first"), []byte("second")
	require.NoError(t, store.Save(ctx, first))
	require.ErrorIs(t, store.Save(ctx, second), entsession.ErrConflict, "two states, one of which is old now")
}

// testTogetherColumns: saves that set different columns, or none, each set theirs and leave the others' alone.
func testTogetherColumns(t *testing.T, e *env) {
	store := e.store()
	names := []string{"red", "green", "blue"}
	var before []entsession.Column
	for _, name := range names {
		e.exec("ALTER TABLE sessions ADD COLUMN " + name + " varchar(40) NULL DEFAULT 'default'")
		before = append(before, entsession.Set(name, "before"))
	}
	sessions := e.crowd(store, crowd, before...)
	for round := range 3 {
		want := make([][3]string, crowd)
		none(t, together(crowd, func(i int) error {
			var cols []entsession.Column
			for c, name := range names {
				want[i][c] = "before"
				if (i+round)>>c&1 == 0 {
					continue
				}
				var value any = fmt.Sprintf("%d of %d", c, i)
				if want[i][c] = value.(string); (i+round)>>3&1 == 1 {
					value, want[i][c] = nil, "NULL"
				}
				cols = append(cols, entsession.Set(name, value))
			}
			if i%2 == 1 { // the order in which they are named says nothing
				for a, b := 0, len(cols)-1; a < b; a, b = a+1, b-1 {
					cols[a], cols[b] = cols[b], cols[a]
				}
			}
			sessions[i].Data = fmt.Appendf(nil, "round %d of %d", round, i)
			return store.Save(ctx, sessions[i], cols...)
		}))
		table := e.table(append(names, "data")...)
		for i, s := range sessions {
			require.Equal(t, append(want[i][:], fmt.Sprintf("round %d of %d", round, i)), table[s.Key()])
		}
		none(t, together(crowd, func(i int) error { return store.Save(ctx, sessions[i], before...) }))
	}
	// Of sessions created together, each gets the default of what it doesn't set.
	none(t, together(crowd, func(i int) error {
		_, err := store.Create(ctx, []byte("created"), before[:i%4]...)
		return err
	}))
	for c, name := range names {
		require.EqualValues(t, crowd/4*(3-c), e.int("SELECT count(*) FROM sessions WHERE data = 'created' AND "+name+" = 'before'"))
		require.EqualValues(t, crowd/4*(1+c), e.int("SELECT count(*) FROM sessions WHERE data = 'created' AND "+name+" = 'default'"))
	}
}

// testTogetherCharset: a payload that the column can't represent is stored in its other form, and only that one.
func testTogetherCharset(t *testing.T, e *env) {
	e.exec(strings.Replace(bareTable, "timeout integer", "timeout integer, version bigint NOT NULL DEFAULT 0", 1) + " CHARSET latin1")
	store := e.open()
	sessions := e.crowd(store, crowd)
	payload := func(i int) []byte {
		if i%16 == 5 {
			return fmt.Appendf(nil, "🎉 %d", i)
		}
		return fmt.Appendf(nil, "café %d", i)
	}
	check := func(i int, s *entsession.Session) {
		t.Helper()
		stored := e.data(s)
		if i%16 == 5 {
			require.True(t, strings.HasPrefix(stored, "b64:"), stored)
		} else {
			require.Equal(t, string(payload(i)), stored)
		}
		require.Equal(t, string(payload(i)), string(got0(t, store, s.ID()).Data))
	}
	none(t, together(crowd, func(i int) error {
		sessions[i].Data = payload(i)
		return store.Save(ctx, sessions[i])
	}))
	created := make([]*entsession.Session, crowd)
	none(t, together(crowd, func(i int) (err error) {
		created[i], err = store.Create(ctx, payload(i))
		return err
	}))
	for i := range crowd {
		check(i, sessions[i])
		check(i, created[i])
	}
	none(t, together(crowd, func(i int) error { return store.Save(ctx, sessions[i]) }))
	errs := together(crowd, func(i int) error {
		sessions[i].Data = payload(21)
		if i%16 == 9 {
			return store.Save(ctx, sessions[i], entsession.Set("nope", 1))
		}
		return store.Save(ctx, sessions[i], entsession.Set("note", fmt.Sprint(i)))
	})
	for i, err := range errs {
		if i%16 == 9 {
			require.ErrorContains(t, err, `"nope"`)
			check(i, sessions[i])
			continue
		}
		require.NoError(t, err)
		check(21, sessions[i])
	}
}

package conformance

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/ent/session"
	"github.com/entsession/entsession/internal/dbtest"
)

// testGrants: an account that may do nothing but read and change the rows of the one table is enough for every call but Migrate. docs/operating.md has
// these grants.
func testGrants(t *testing.T, e *env) {
	owner := e.store()
	id, _, _ := strings.Cut(e.db.Name, "_")
	const secret = "an-account-of-its-own"
	user, super := id+"_app", e.db.Super(t)
	all := []string{"CREATE USER " + user + " PASSWORD '" + secret + "'", "GRANT CONNECT ON DATABASE " + e.db.Name + " TO " + user,
		"GRANT SELECT, INSERT, UPDATE, DELETE ON sessions TO " + user}
	gone := []string{"DROP OWNED BY " + user, "DROP USER " + user}
	if e.db.Kind.Dialect == dbtest.MySQL {
		user = "'" + user + "'@'%'"
		all = []string{"CREATE USER " + user + " IDENTIFIED BY '" + secret + "'", "GRANT SELECT, INSERT, UPDATE, DELETE ON " + e.db.Name + ".sessions TO " + user}
		gone = []string{"DROP USER " + user}
	}
	t.Cleanup(func() {
		for _, text := range gone {
			_, err := super.Exec(text)
			require.NoError(t, err, text)
		}
	})
	for _, text := range all {
		_, err := super.Exec(text)
		require.NoError(t, err, text)
	}
	store := e.open(func(c *entsession.Config) { c.Username, c.Password = id+"_app", secret })
	require.NoError(t, store.Health(ctx))
	s := e.create(store, "x", entsession.Set(session.FieldSubject, "42"))
	s.Data = []byte("y")
	require.NoError(t, store.Save(ctx, s, entsession.Set(session.FieldSubject, "43")))
	_, err := store.Update(ctx, s.ID(), increment0)
	require.NoError(t, err)
	require.NoError(t, store.Touch(ctx, s.ID()))
	s, err = store.Rotate(ctx, s.ID())
	require.NoError(t, err)
	n, err := store.Count(ctx, session.Subject("43"))
	require.NoError(t, err)
	require.Equal(t, 1, n)
	n, err = store.Revoke(ctx, session.Subject("43"))
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.NoError(t, store.Delete(ctx, s.ID()))
	e.expire(e.create(store, "x"))
	n, err = store.Purge(ctx)
	require.NoError(t, err)
	require.Positive(t, n)
	_, err = store.Usage(ctx)
	require.NoError(t, err)
	require.True(t, e.live(owner, e.create(store, "x").ID()))
	require.Error(t, store.Migrate(ctx))
}

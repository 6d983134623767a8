// Package entsession keeps server-side sessions in the application's own SQL database: PostgreSQL, MySQL, MariaDB or
// SQLite.
//
// A [Store] has a table, a connection pool and an ent client of its own. [Store.Create] makes a [Session] under a random id, which
// the client keeps in a cookie; [Store.Load], [Store.Save], [Store.Update] and [Store.Touch] work on it until it expires; [Store.Rotate] gives
// it a new id after a login; [Store.Delete] and [Store.Revoke] end it. Next to the payload, the table may have columns of the application's
// own: [Set] names them in a write, [Get] reads them, and ent's predicates find sessions by them.
//
// What it promises:
//
//   - A session that expired or was revoked never comes back, whatever is under way at that moment.
//   - No update is lost: Save refuses with [ErrConflict] what someone else has changed since, Update applies its function exactly once.
//   - Every change is one transaction of the store's own, committed when the call returns nil.
//   - The id is a secret: the table holds its SHA-256, and no error or log holds either.
//   - Columns that a call doesn't name keep their value.
//   - Expired rows are purged in small batches off the request's path.
//   - Calls that travel together for speed have each their own answer, error and context.
//   - No goroutine outlives [Store.Close], no table is changed unless [Store.Migrate] is called, and every wait obeys its context.
//
// To read the code, begin with store.go, session.go and crud.go; then save.go, update.go and rotate.go hold what the promises
// rest on, conn.go the retries, batch.go the way into batches, and internal/stmt every statement there is; hooks.go is on its own.
package entsession

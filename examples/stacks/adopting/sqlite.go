// Package adopting has the code of docs/adopting.md, and tries what that page says on tables that the other libraries have made.
package adopting

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
)

// copySessions fills an SQLite table of sessions from another one, which SQLite's own functions can't: it has no SHA-256. The query gives id,
// data, and the expiry in epoch seconds.
func copySessions(ctx context.Context, db *sql.DB, query string) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	rows, err := tx.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	type session struct {
		id, data string
		timeout  int64
	}
	var sessions []session
	for rows.Next() {
		var s session
		if err := rows.Scan(&s.id, &s.data, &s.timeout); err != nil {
			return err
		}
		sessions = append(sessions, s)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for _, s := range sessions {
		hash := sha256.Sum256([]byte(s.id))
		id := base64.RawURLEncoding.EncodeToString(hash[:])
		data := "b64:" + base64.StdEncoding.EncodeToString([]byte(s.data))
		if _, err := tx.ExecContext(ctx, "INSERT INTO sessions (id, data, timeout) VALUES (?, ?, ?)", id, data, s.timeout); err != nil {
			return err
		}
	}
	return tx.Commit()
}

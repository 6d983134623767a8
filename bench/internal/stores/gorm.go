package stores

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/gorilla/securecookie"
	"github.com/gorilla/sessions"
	"github.com/wader/gormstore/v2"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

var gorilla = Contestant{
	Name:  "gorilla-gorm",
	About: "gorilla/sessions with wader/gormstore on gorm, as it is by default but without a limit of size: New and Save of a request, cookie included",
	Kinds: []string{Postgres},
	Open:  openGorilla,
}

// gorillaRows is called as an HTTP handler calls it: it finds the session by the request's cookie, for a load and again
// for a save, and the save writes a cookie.
type gorillaRows struct {
	store    *gormstore.Store
	requests []*http.Request
	close    func() error
}

const (
	gorillaName  = "session"
	gorillaValue = "data"
)

func openGorilla(ctx context.Context, p Place, s Setup) (Store, error) {
	db, err := openDB(p, s)
	if err != nil {
		return nil, err
	}
	g, err := gorm.Open(postgres.New(postgres.Config{Conn: db}), &gorm.Config{Logger: logger.Discard})
	if err != nil {
		_ = db.Close()
		return nil, err
	}
	store := gormstore.New(g, []byte("a key of thirty-two random bytes"))
	store.MaxLength(0) // or 32 kB would not fit
	r := &gorillaRows{store: store, close: db.Close}
	data, err := securecookie.EncodeMulti(gorillaName, map[any]any{gorillaValue: s.Payload}, store.Codecs...)
	if err != nil {
		return nil, err
	}
	ids := newTokens(s.Rows)
	_, err = db.ExecContext(ctx, `INSERT INTO sessions (id, data, created_at, updated_at, expires_at)
		SELECT id, $2, now(), now(), $3 FROM unnest($1::text[]) AS id`, ids, data, time.Now().Add(24*time.Hour))
	if err != nil {
		return nil, fmt.Errorf("making %d rows: %w", s.Rows, err)
	}
	for _, id := range ids {
		cookie, err := securecookie.EncodeMulti(gorillaName, id, store.Codecs...)
		if err != nil {
			return nil, err
		}
		req := &http.Request{Header: http.Header{}}
		req.AddCookie(&http.Cookie{Name: gorillaName, Value: cookie})
		r.requests = append(r.requests, req)
	}
	return r, nil
}

func (r *gorillaRows) Load(_ context.Context, row int) ([]byte, error) {
	session, err := r.store.New(r.requests[row], gorillaName)
	if err != nil {
		return nil, err
	}
	data, ok := session.Values[gorillaValue].([]byte)
	if !ok || session.IsNew {
		return nil, wrong("gorilla-gorm", "not found", row)
	}
	return data, nil
}

func (r *gorillaRows) Save(_ context.Context, row int, data []byte) error {
	session := sessions.NewSession(r.store, gorillaName)
	opts := *r.store.SessionOpts
	session.Options = &opts
	session.Values[gorillaValue] = data
	w := discard{}
	if err := r.store.Save(r.requests[row], w, session); err != nil {
		return err
	}
	if session.ID != "" { // it made another one
		return wrong("gorilla-gorm", "not found by its cookie", row)
	}
	return nil
}

func (r *gorillaRows) Close() error { return r.close() }

// discard is the response that nobody reads. It is its own header.
type discard http.Header

func (d discard) Header() http.Header         { return http.Header(d) }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

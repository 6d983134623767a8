package entsession_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/ent/session"
	_ "github.com/entsession/entsession/sqlite"
)

// exampleStore is a store on a throw-away SQLite file.
func exampleStore(ctx context.Context) (*entsession.Store, func()) {
	dir, err := os.MkdirTemp("", "entsession-example")
	if err != nil {
		log.Fatal(err)
	}
	store, err := entsession.Open(ctx, entsession.Config{Driver: "sqlite", Database: filepath.Join(dir, "sessions.db")})
	if err != nil {
		log.Fatal(err)
	}
	if err := store.Migrate(ctx); err != nil {
		log.Fatal(err)
	}
	return store, func() {
		if err := errors.Join(store.Close(), os.RemoveAll(dir)); err != nil {
			log.Fatal(err)
		}
	}
}

func Example() {
	ctx := context.Background()
	store, done := exampleStore(ctx)
	defer done()

	s, err := store.Create(ctx, []byte(`{"cart":[]}`))
	if err != nil {
		log.Fatal(err)
	}
	cookie := s.ID() // 43 characters: what the browser keeps

	s, err = store.Load(ctx, cookie)
	if err != nil {
		log.Fatal(err)
	}
	s.Data = []byte(`{"cart":["tea"]}`)
	if err := store.Save(ctx, s); err != nil {
		log.Fatal(err)
	}

	if err := store.Delete(ctx, cookie); err != nil {
		log.Fatal(err)
	}
	_, err = store.Load(ctx, cookie)
	fmt.Println(err)
	// Output: entsession: session not found
}

// A pool that the application opened itself, with any driver that database/sql has.
func ExampleNew() {
	ctx := context.Background()
	db, err := sql.Open("sqlite", "file:new?mode=memory&cache=shared&_txlock=immediate&_pragma=busy_timeout(5000)")
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	store, err := entsession.New(ctx, entsql.OpenDB(dialect.SQLite, db), entsession.Config{ExpirationTimeout: time.Hour})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close() // which leaves the pool open
	if err := store.Migrate(ctx); err != nil {
		log.Fatal(err)
	}
	n, err := store.Count(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(n, "sessions")
	// Output: 0 sessions
}

func ExampleStore_Update() {
	ctx := context.Background()
	store, done := exampleStore(ctx)
	defer done()

	s, err := store.Create(ctx, []byte("1"))
	if err != nil {
		log.Fatal(err)
	}
	s, err = store.Update(ctx, s.ID(), func(s *entsession.Session) error {
		s.Data = append(s.Data, '+')
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(s.Data))
	// Output: 1+
}

func ExampleStore_Save_conflict() {
	ctx := context.Background()
	store, done := exampleStore(ctx)
	defer done()

	s, err := store.Create(ctx, []byte("x"))
	if err != nil {
		log.Fatal(err)
	}
	other, err := store.Load(ctx, s.ID()) // another request
	if err != nil {
		log.Fatal(err)
	}
	other.Data = []byte("y")
	if err := store.Save(ctx, other); err != nil {
		log.Fatal(err)
	}
	fmt.Println(errors.Is(store.Save(ctx, s), entsession.ErrConflict))
	// Output: true
}

func ExampleStore_Rotate() {
	ctx := context.Background()
	store, done := exampleStore(ctx)
	defer done()

	visitor, err := store.Create(ctx, []byte("cart"))
	if err != nil {
		log.Fatal(err)
	}
	// After the login: a new id for the same session, so that one that was planted before the login is worth nothing.
	user, err := store.Rotate(ctx, visitor.ID())
	if err != nil {
		log.Fatal(err)
	}
	if err := store.Save(ctx, user, entsession.Set(session.FieldSubject, "42")); err != nil {
		log.Fatal(err)
	}
	_, err = store.Load(ctx, visitor.ID())
	fmt.Println(string(user.Data), err)
	// Output: cart entsession: session not found
}

// Sign out all other devices of a user.
func ExampleStore_Revoke() {
	ctx := context.Background()
	store, done := exampleStore(ctx)
	defer done()

	var mine *entsession.Session
	for range 3 {
		var err error
		if mine, err = store.Create(ctx, nil, entsession.Set(session.FieldSubject, "42")); err != nil {
			log.Fatal(err)
		}
	}
	n, err := store.Revoke(ctx, session.Subject("42"), session.IDNEQ(mine.Key()))
	fmt.Println(n, err)
	// Output: 2 <nil>
}

func ExampleStore_List() {
	ctx := context.Background()
	store, done := exampleStore(ctx)
	defer done()

	if _, err := store.Create(ctx, []byte("phone"), entsession.Set(session.FieldSubject, "42")); err != nil {
		log.Fatal(err)
	}
	for s, err := range store.List(ctx, session.Subject("42")) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(string(s.Data))
	}
	// Output: phone
}

func ExampleTyped() {
	type Cart struct{ Items []string }
	ctx := context.Background()
	store, done := exampleStore(ctx)
	defer done()

	carts := entsession.Typed[Cart]{Store: store}
	s, err := carts.Create(ctx, Cart{})
	if err != nil {
		log.Fatal(err)
	}
	s, err = carts.Update(ctx, s.ID(), func(s *entsession.TypedSession[Cart]) error {
		s.Value.Items = append(s.Value.Items, "tea")
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(s.Value.Items)
	// Output: [tea]
}

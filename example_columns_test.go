package entsession_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"entgo.io/ent/dialect/sql"

	"github.com/entsession/entsession"
	_ "github.com/entsession/entsession/sqlite"
)

// deviceStore is a store whose table has one column more, which a migration of the application's has added.
func deviceStore(ctx context.Context, change func(*entsession.Config)) (*entsession.Store, func()) {
	dir, err := os.MkdirTemp("", "entsession-example")
	if err != nil {
		log.Fatal(err)
	}
	cfg := entsession.Config{Driver: "sqlite", Database: filepath.Join(dir, "sessions.db")}
	change(&cfg)
	store, err := entsession.Open(ctx, cfg)
	if err != nil {
		log.Fatal(err)
	}
	if err := store.Migrate(ctx); err != nil {
		log.Fatal(err)
	}
	drv, err := entsession.OpenDriver(cfg)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := drv.ExecContext(ctx, "ALTER TABLE sessions ADD COLUMN device varchar(40)"); err != nil {
		log.Fatal(err)
	}
	return store, func() {
		if err := errors.Join(store.Close(), drv.Close(), os.RemoveAll(dir)); err != nil {
			log.Fatal(err)
		}
	}
}

// A column of the application's own, without a schema of its own: written by name, read with its type, and asked for. What a Save doesn't name stays as it is.
func ExampleSet() {
	ctx := context.Background()
	store, done := deviceStore(ctx, func(*entsession.Config) {})
	defer done()

	s, err := store.Create(ctx, []byte("tea"), entsession.Set("device", "phone"))
	if err != nil {
		log.Fatal(err)
	}
	s.Data = []byte("cake")
	if err := store.Save(ctx, s); err != nil {
		log.Fatal(err)
	}
	s, err = store.Load(ctx, s.ID())
	if err != nil {
		log.Fatal(err)
	}
	device, err := entsession.Get[string](s, "device")
	fmt.Println(device, string(s.Data), err)

	n, err := store.Revoke(ctx, sql.FieldEQ("device", "phone"))
	fmt.Println(n, err)
	// Output:
	// phone cake <nil>
	// 1 <nil>
}

// Columns from the request, for code that knows only payloads, such as a session manager: the store asks for them on each Create and Save. For the address and
// the browser there is package httpcolumns.
func ExampleConfig_columnsFunc() {
	type deviceKey struct{}
	ctx := context.WithValue(context.Background(), deviceKey{}, "phone") // as a middleware does
	store, done := deviceStore(ctx, func(cfg *entsession.Config) {
		cfg.ColumnsFunc = func(ctx context.Context) []entsession.Column {
			device, ok := ctx.Value(deviceKey{}).(string)
			if !ok {
				return nil
			}
			return []entsession.Column{entsession.Set("device", device)}
		}
	})
	defer done()

	s, err := store.Create(ctx, []byte("tea"))
	if err != nil {
		log.Fatal(err)
	}
	s, err = store.Load(ctx, s.ID())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(entsession.Get[string](s, "device"))
	// Output: phone <nil>
}

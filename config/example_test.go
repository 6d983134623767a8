package config_test

import (
	"fmt"

	"github.com/entsession/entsession/config"
)

func ExampleParse() {
	_, err := config.Parse("app.yaml", []byte(`
listen: :8080                # the application's own
session:
  store:
    driver: postgres
    options:
      database: shop
      prot: 5433
      expiration_timeout: 1.5
`))
	fmt.Println(err)
	// Output:
	// app.yaml:8: session.store.options.prot: unknown key; the nearest is "port"
	// app.yaml:9: session.store.options.expiration_timeout: "1.5" is out of range: whole seconds only
}

func ExampleDSN() {
	cfg, err := config.DSN("postgres://app:secret@db.example:5433/shop?expiration_timeout=2h&sslmode=verify-full")
	fmt.Println(cfg.Hostname, cfg.Port, cfg.Database, cfg.ExpirationTimeout, cfg.Params, err)
	// Output: db.example 5433 shop 2h0m0s map[sslmode:verify-full] <nil>
}

func ExampleDescribe() {
	cfg, err := config.DSN("sqlite:shop.db?expiration_timeout=2h")
	if err != nil {
		panic(err)
	}
	settings, err := config.Describe(cfg)
	if err != nil {
		panic(err)
	}
	for _, s := range settings[:4] {
		fmt.Println(s.Name, s.Value, s.Default)
	}
	// Output:
	// driver sqlite false
	// table sessions true
	// database shop.db false
	// connection_check_threshold 30 true
}

package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/config"
)

// options is what the command line says.
type options struct {
	addr    string
	https   bool
	proxies []netip.Prefix // whose word for a client's address is taken
	store   entsession.Config
}

// usageError is a command line that makes no sense.
type usageError struct{ error }

const help = `Webapp is a little shop that keeps its sessions in a SQL database.

usage: webapp [options]

  -addr host:port   where to listen (default localhost:8080; :8080 lets your phone in, too)
  -dsn DSN          the database, such as
                      postgres://user:password@localhost/shop
                      mysql://user:password@localhost/shop
                      sqlite:///path/to/file.db
                    (default an SQLite file of its own, %s)
  -config FILE      the database from a YAML file instead: session: store: {driver, options}
  -https            browsers come through a proxy that speaks HTTPS: cookies are then sent over HTTPS only
  -proxy network    where such proxies are, such as 127.0.0.1/32: the client's address is then the one that they add to
                    X-Forwarded-For. May be given several times
  -h                this help

The tables, shop_users and shop_sessions, are created or brought up to date at the start.
`

func parse(args []string, stdout io.Writer) (options, error) {
	opts := options{}
	flags := flag.NewFlagSet("webapp", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // main says what is wrong, once
	flags.StringVar(&opts.addr, "addr", "localhost:8080", "")
	dsn := flags.String("dsn", "", "")
	file := flags.String("config", "", "")
	flags.BoolVar(&opts.https, "https", false, "")
	flags.Func("proxy", "", func(text string) error {
		network, err := netip.ParsePrefix(text)
		opts.proxies = append(opts.proxies, network)
		return err
	})
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintf(stdout, help, defaultFile())
		return opts, err
	case err != nil:
		return opts, usageError{err}
	case flags.NArg() > 0:
		return opts, usageError{fmt.Errorf("unexpected argument %q", flags.Arg(0))}
	case !strings.Contains(opts.addr, ":"):
		return opts, usageError{fmt.Errorf("-addr: %q is not of the form host:port, such as localhost:8080 or :8080", opts.addr)}
	case *dsn != "" && *file != "":
		return opts, usageError{errors.New("-dsn and -config exclude each other: give one of them")}
	}

	var err error
	switch {
	case *dsn != "":
		opts.store, err = config.DSN(*dsn)
	case *file != "":
		opts.store, err = config.File(*file)
	default:
		opts.store, err = ownFile(defaultFile())
	}
	if err != nil {
		return opts, usageError{err}
	}
	if opts.store.PlainIDs {
		// The pages show a session's key, which is no secret only as long as it is a hash.
		return opts, usageError{errors.New("hash_ids: 0 does not go with this application: leave it out")}
	}
	// The table may hold other applications' sessions, whose payload is none of ours.
	opts.store.Application = cmp.Or(opts.store.Application, "webapp")
	return opts, nil
}

// ownFile is the default database.
func ownFile(file string) (entsession.Config, error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return entsession.Config{}, fmt.Errorf("making the folder of the database (-dsn names another): %w", err)
	}
	return entsession.Config{Driver: "sqlite", Database: file}, nil
}

// defaultFile is in the user's own cache, and not in the current folder: that one may be a checkout.
func defaultFile() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = os.TempDir()
	}
	return filepath.Join(dir, "entsession", "shop.db")
}

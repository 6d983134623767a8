// Webapp is a small shop that shows what server-side sessions are for: a counter, a cart, and "your devices", where a
// person sees every browser they are signed in with, and can sign any of them out.
//
// Start reading at visit.go (what a session holds, and how a request gets at it), then signin.go, shop.go and devices.go
// (what the pages do with it); database.go is the users and sessions, whose schema is in ent/schema; cookie.go is how the id travels. This file
// serves; options.go reads the command line; app.go ties the handlers together; pages.go renders the templates in pages/.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/entsession/entsession"

	// PostgreSQL comes with the store; the others are linked only where they are imported.
	_ "github.com/entsession/entsession/mysql"
	_ "github.com/entsession/entsession/sqlite"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	var misuse usageError
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
	case errors.As(err, &misuse):
		fmt.Fprintf(os.Stderr, "webapp: %v\nwebapp -h shows the options\n", err)
		os.Exit(2)
	default:
		fmt.Fprintf(os.Stderr, "webapp: %v\n", err)
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	opts, err := parse(args, stdout)
	if err != nil {
		return err
	}
	logger := slog.New(slog.NewTextHandler(stderr, nil))
	opts.store.Logger = logger

	// First the port, which is what a second start stumbles over, then the database.
	listener, err := listen(ctx, opts.addr)
	if err != nil {
		return err
	}
	defer listener.Close()

	db, err := openDatabase(ctx, opts.store, opts.proxies)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()

	server := &http.Server{
		Handler:           newApp(db, logger, opts.https),
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       2 * time.Minute,
	}
	fmt.Fprintf(stdout, "Sessions are kept in %s.\nOpen %s in two browsers, and sign in under the same name. Ctrl+C ends.\n",
		place(opts.store), address(opts.addr, listener.Addr()))
	return serve(ctx, server, listener)
}

// serve serves until ctx ends, and then finishes the requests under way before it returns: their sessions are to be
// saved before the store closes.
func serve(ctx context.Context, server *http.Server, listener net.Listener) error {
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serving: %w", err)
	case <-ctx.Done():
	}
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := server.Shutdown(patience); err != nil {
		return fmt.Errorf("shutting down: %w", errors.Join(err, server.Close()))
	}
	return nil
}

func listen(ctx context.Context, addr string) (net.Listener, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("another program is using %s already: end it, or choose another port, such as -addr localhost:8081", addr)
	case err != nil:
		return nil, fmt.Errorf("listening on %s: %w", addr, err)
	}
	return listener, nil
}

// address is the URL to open: the host as it was given, and the port as the system gave it.
func address(given string, got net.Addr) string {
	host, _, _ := net.SplitHostPort(given)
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	_, port, _ := net.SplitHostPort(got.String())
	return "http://" + net.JoinHostPort(host, port)
}

// place names the database, without anything secret.
func place(cfg entsession.Config) string {
	full, err := cfg.WithDefaults()
	switch {
	case err != nil || full.Driver == "sqlite":
		return cfg.Database
	default:
		return fmt.Sprintf("the %s database %s on %s", full.Driver, full.Database, full.Hostname)
	}
}

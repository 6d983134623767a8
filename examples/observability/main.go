// Command observability is a program whose sessions can be watched: http://localhost:8080 counts visits, and
// http://localhost:8080/metrics has what the store does, for Prometheus. The dashboard and the alerts of docs/observability are made for it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/sdk/metric"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/otelsession"
	_ "github.com/entsession/entsession/sqlite"
)

func main() {
	file := flag.String("file", "sessions.db", "SQLite's `file`")
	flag.Parse()
	store, err := open(context.Background(), *file)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	log.Fatal(http.ListenAndServe("localhost:8080", handler(store)))
}

// open opens a store that reports to OpenTelemetry, whose metrics Prometheus collects.
func open(ctx context.Context, file string) (*entsession.Store, error) {
	exporter, err := prometheus.New()
	if err != nil {
		return nil, err
	}
	otel.SetMeterProvider(metric.NewMeterProvider(metric.WithReader(exporter)))
	store, err := entsession.Open(ctx, entsession.Config{
		Driver: "sqlite", Database: file,
		Observer: otelsession.New(otelsession.Config{UsageInterval: 5 * time.Minute}),
		Logger:   slog.New(slog.NewJSONHandler(os.Stderr, nil)),
	})
	if err != nil {
		return nil, err
	}
	return store, store.Migrate(ctx)
}

func handler(store *entsession.Store) http.Handler {
	visits := entsession.Typed[int]{Store: store}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.Handler())
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		id := ""
		if cookie, err := r.Cookie("session"); err == nil {
			id = cookie.Value
		}
		s, err := visits.Update(r.Context(), id, func(s *entsession.TypedSession[int]) error {
			s.Value++
			return nil
		})
		if errors.Is(err, entsession.ErrNotFound) {
			s, err = visits.Create(r.Context(), 1)
		}
		if err != nil {
			http.Error(w, "please try again", http.StatusServiceUnavailable)
			return
		}
		http.SetCookie(w, &http.Cookie{Name: "session", Value: s.ID(), Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
		fmt.Fprintf(w, "visit %d", s.Value)
	})
	return mux
}

package otelsession_test

import (
	"context"
	"fmt"
	"log"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/otelsession"
	_ "github.com/entsession/entsession/sqlite"
)

func Example() {
	ctx := context.Background()
	reader := sdk.NewManualReader() // yours is an exporter
	store, err := entsession.Open(ctx, entsession.Config{
		Driver: "sqlite", Database: ":memory:",
		Observer: otelsession.New(otelsession.Config{
			MeterProvider: sdk.NewMeterProvider(sdk.WithReader(reader)),
			UsageInterval: 5 * time.Minute,
		}),
	})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	if err := store.Migrate(ctx); err != nil {
		log.Fatal(err)
	}
	if _, err := store.Create(ctx, nil); err != nil {
		log.Fatal(err)
	}

	var all metricdata.ResourceMetrics
	if err := reader.Collect(ctx, &all); err != nil {
		log.Fatal(err)
	}
	for _, m := range all.ScopeMetrics[0].Metrics {
		if m.Name == "db.client.operation.duration" || m.Name == "entsession.sessions" {
			fmt.Println(m.Name, m.Unit)
		}
	}
	// Unordered output:
	// db.client.operation.duration s
	// entsession.sessions {session}
}

package otelsession_test

import (
	"context"
	"encoding/json"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/internal/dbtest"
	_ "github.com/entsession/entsession/mysql"
	"github.com/entsession/entsession/otelsession"
	_ "github.com/entsession/entsession/sqlite"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// telemetry keeps what a store has emitted.
type telemetry struct {
	spans  *tracetest.InMemoryExporter
	reader *metric.ManualReader
	cfg    otelsession.Config
}

func newTelemetry() *telemetry {
	t := &telemetry{spans: tracetest.NewInMemoryExporter(), reader: metric.NewManualReader()}
	t.cfg.TracerProvider = trace.NewTracerProvider(trace.WithSyncer(t.spans))
	t.cfg.MeterProvider = metric.NewMeterProvider(metric.WithReader(t.reader))
	return t
}

// points are what is collected now: for each name, a line for each set of attributes.
func (e *telemetry) points(t testing.TB) map[string][]point {
	t.Helper()
	var rm metricdata.ResourceMetrics
	require.NoError(t, e.reader.Collect(context.Background(), &rm))
	out := map[string][]point{}
	for _, s := range rm.ScopeMetrics {
		require.Equal(t, otelsession.ScopeName, s.Scope.Name)
		for _, m := range s.Metrics {
			switch d := m.Data.(type) {
			case metricdata.Histogram[float64]:
				for _, p := range d.DataPoints {
					out[m.Name] = append(out[m.Name], point{p.Attributes, float64(p.Count), p.Bounds, m.Unit})
				}
			case metricdata.Histogram[int64]:
				for _, p := range d.DataPoints {
					out[m.Name] = append(out[m.Name], point{p.Attributes, float64(p.Count), p.Bounds, m.Unit})
				}
			case metricdata.Sum[int64]:
				out[m.Name] = append(out[m.Name], plain(d.DataPoints, m.Unit)...)
			case metricdata.Sum[float64]:
				out[m.Name] = append(out[m.Name], plain(d.DataPoints, m.Unit)...)
			case metricdata.Gauge[int64]:
				out[m.Name] = append(out[m.Name], plain(d.DataPoints, m.Unit)...)
			case metricdata.Gauge[float64]:
				out[m.Name] = append(out[m.Name], plain(d.DataPoints, m.Unit)...)
			default:
				require.Fail(t, "unknown kind of metric", m.Name)
			}
		}
	}
	return out
}

// text is all that can be collected now, as an exporter would write it.
func (e *telemetry) text(t testing.TB) string {
	t.Helper()
	var rm metricdata.ResourceMetrics
	require.NoError(t, e.reader.Collect(context.Background(), &rm))
	metrics, err := json.Marshal(rm)
	require.NoError(t, err)
	spans, err := json.Marshal(e.spans.GetSpans())
	require.NoError(t, err)
	return string(metrics) + string(spans)
}

type point struct {
	attributes attribute.Set
	value      float64
	bounds     []float64
	unit       string
}

func plain[N int64 | float64](points []metricdata.DataPoint[N], unit string) (out []point) {
	for _, p := range points {
		out = append(out, point{p.Attributes, float64(p.Value), nil, unit})
	}
	return out
}

// with finds the points that have these attributes.
func with(points []point, attributes ...attribute.KeyValue) (sum float64) {
	for _, p := range points {
		if !slices.ContainsFunc(attributes, func(a attribute.KeyValue) bool {
			v, ok := p.attributes.Value(a.Key)
			return !ok || v != a.Value
		}) {
			sum += p.value
		}
	}
	return sum
}

func open(t testing.TB, db *dbtest.DB, change func(*entsession.Config)) *entsession.Store {
	t.Helper()
	cfg := entsession.Config{Driver: "postgres", Database: db.Name, Username: db.User, Password: db.Password, Hostname: db.Host, Port: db.Port, DisableAutopurge: true}
	switch db.Kind.Dialect {
	case dbtest.MySQL:
		cfg.Driver = "mysql"
	case dbtest.SQLite:
		cfg.Driver, cfg.Database = "sqlite", db.File
	}
	change(&cfg)
	s, err := entsession.Open(context.Background(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	require.NoError(t, s.Migrate(t.Context()))
	return s
}

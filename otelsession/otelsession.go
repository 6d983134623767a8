// Package otelsession reports what a store of sessions does to OpenTelemetry: a span for each call, and metrics of calls, batches, queues,
// retries, the pool, the purge and, if asked for, the sessions in the table. It is a module of its own, so that only programs that import
// it have OpenTelemetry among their dependencies.
//
//	store, err := entsession.Open(ctx, entsession.Config{
//		Database: "shop",
//		Observer: otelsession.New(otelsession.Config{}),
//	})
//
// Names follow OpenTelemetry's semantic conventions for database clients, version 1.43, where they have one; docs/observability.md lists
// them all. No id, no payload, no value of a column and no text of an error is ever part of it.
package otelsession

import (
	"context"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/entsession/entsession"
)

// ScopeName is the instrumentation scope of all spans and metrics.
const ScopeName = "github.com/entsession/entsession/otelsession"

// Config says where to report to. The zero value is a working default.
type Config struct {
	// TracerProvider defaults to OpenTelemetry's global one.
	TracerProvider trace.TracerProvider
	// MeterProvider defaults to OpenTelemetry's global one.
	MeterProvider metric.MeterProvider
	// Attributes are added to every span and every metric, such as semconv.ServerAddress("db1") and semconv.DBNamespace("shop"). Two stores on
	// tables of one name need some to be told apart. Defaults to none.
	Attributes []attribute.KeyValue
	// UsageInterval has the sessions in the table counted, by Store.Usage and at most that often, while metrics are collected. That reads the whole
	// table: five minutes is often enough, and one process of several is. Defaults to 0: never.
	UsageInterval time.Duration
}

// Attributes of the project's own.
const (
	// OutcomeKey is what became of a call: a value of entsession.CallInfo.Outcome.
	OutcomeKey = attribute.Key("entsession.outcome")
	// BatchedKey tells whether a call travelled in a batch.
	BatchedKey = attribute.Key("entsession.batched")
	// RetriesKey is how many statements of a call were sent again. Spans only.
	RetriesKey = attribute.Key("entsession.retries")
	// LaneKey is the queue: a value of entsession.LaneStats.Name.
	LaneKey = attribute.Key("entsession.lane")
	// FailedKey tells whether a batch failed, or a purge.
	FailedKey = attribute.Key("entsession.failed")
	// StateKey is that of sessions: live, expired or revoked. The last two wait for the purge.
	StateKey = attribute.Key("entsession.session.state")
	// ApplicationKey is entsession.Config.Application, if there is one.
	ApplicationKey = attribute.Key("entsession.application")
)

// New makes what entsession.Config.Observer takes; it may be given to several stores. If an instrument can't be made, OpenTelemetry's error
// handler hears of it, and the store works without.
func New(cfg Config) func(*entsession.Store) *entsession.Observer {
	if cfg.TracerProvider == nil {
		cfg.TracerProvider = otel.GetTracerProvider()
	}
	if cfg.MeterProvider == nil {
		cfg.MeterProvider = otel.GetMeterProvider()
	}
	return func(store *entsession.Store) *entsession.Observer {
		o := &observer{
			store:  store,
			every:  cfg.UsageInterval,
			table:  store.Table(),
			tracer: cfg.TracerProvider.Tracer(ScopeName, trace.WithSchemaURL(semconv.SchemaURL)),
			common: append([]attribute.KeyValue{system(store.Dialect()), semconv.DBCollectionName(store.Table())}, cfg.Attributes...),
		}
		if app := store.Application(); app != "" {
			o.common = append(o.common, ApplicationKey.String(app))
		}
		o.instruments(cfg.MeterProvider.Meter(ScopeName, metric.WithSchemaURL(semconv.SchemaURL)))
		return &entsession.Observer{Call: o.call, Batch: o.batch, Closed: o.closed}
	}
}

// system names a database as the conventions do. That MySQL's dialect is spoken by MariaDB is not known here.
func system(dialect string) attribute.KeyValue {
	switch dialect {
	case "postgres":
		return semconv.DBSystemNamePostgreSQL
	case "mysql":
		return semconv.DBSystemNameMySQL
	}
	return semconv.DBSystemNameSQLite
}

type observer struct {
	store  *entsession.Store
	table  string
	common []attribute.KeyValue
	tracer trace.Tracer
	metrics

	every time.Duration // between two counts of the sessions
	usage usage
}

func (o *observer) call(ctx context.Context, operation string) (context.Context, func(entsession.CallInfo)) {
	begun := append(append(make([]attribute.KeyValue, 0, len(o.common)+5), o.common...), semconv.DBOperationName(operation))
	ctx, span := o.tracer.Start(ctx, operation+" "+o.table, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(begun...))
	return ctx, func(info entsession.CallInfo) {
		ended := append(begun, OutcomeKey.String(info.Outcome), BatchedKey.Bool(info.Batched))
		kind := errorType(info)
		if kind != "" {
			ended = append(ended, semconv.ErrorTypeKey.String(kind))
		}
		if info.Code != "" {
			ended = append(ended, semconv.DBResponseStatusCode(info.Code))
		}
		o.duration.Record(ctx, info.Duration.Seconds(), metric.WithAttributes(ended...)) // which copies them: a Set would sort them in place
		if span.IsRecording() {
			span.SetAttributes(ended[len(begun):]...)
			if info.Retries > 0 {
				span.SetAttributes(RetriesKey.Int(info.Retries))
			}
			if kind != "" {
				span.SetStatus(codes.Error, kind)
			}
		}
		span.End()
	}
}

// errorType is what the conventions call error.type, "" if the call did not fail: that a session has ended, or was changed by someone else, is
// an answer.
func errorType(info entsession.CallInfo) string {
	switch info.Outcome {
	case entsession.OutcomeOK, entsession.OutcomeNotFound, entsession.OutcomeConflict:
		return ""
	case entsession.OutcomeError:
		if info.Code != "" {
			return info.Code
		}
		return semconv.ErrorTypeOther.Value.AsString()
	}
	return info.Outcome
}

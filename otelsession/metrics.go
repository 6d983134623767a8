package otelsession

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/entsession/entsession"
)

// metrics are what is recorded as it happens, and what is read when somebody collects.
type metrics struct {
	duration      metric.Float64Histogram
	batchSize     metric.Int64Histogram
	batchDuration metric.Float64Histogram
	registered    metric.Registration

	laneCalls, laneRefused, laneLeft metric.Int64ObservableCounter
	laneWait                         metric.Float64ObservableCounter
	queue, inFlight, places          metric.Int64ObservableGauge

	retries, retriesRefused metric.Int64ObservableCounter
	connections             metric.Int64ObservableUpDownCounter
	maxConnections          metric.Int64ObservableUpDownCounter
	poolWaits               metric.Int64ObservableCounter
	poolWaitTime            metric.Float64ObservableCounter
	purges, purgedRows      metric.Int64ObservableCounter
	purgedLast              metric.Float64ObservableGauge
	sessions, stored        metric.Int64ObservableGauge
}

// Bounds of the histograms. Those of durations are what the conventions advise for db.client.operation.duration.
var (
	seconds = []float64{0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10}
	sizes   = []float64{1, 2, 4, 8, 16, 32, 64, 128, 256}
)

// usage is the last count of the sessions.
type usage struct {
	mu   sync.Mutex
	next time.Time // no count before
	last *entsession.Usage
}

const (
	usageTimeout = 5 * time.Second // a scrape of Prometheus's has ten
	usageAgain   = time.Minute     // after a count that failed
)

func (o *observer) instruments(m metric.Meter) {
	var errs []error
	var read []metric.Observable
	counter := func(name, unit, text string) metric.Int64ObservableCounter {
		i, err := m.Int64ObservableCounter(name, metric.WithUnit(unit), metric.WithDescription(text))
		errs, read = append(errs, err), append(read, i)
		return i
	}
	timer := func(name, text string) metric.Float64ObservableCounter {
		i, err := m.Float64ObservableCounter(name, metric.WithUnit("s"), metric.WithDescription(text))
		errs, read = append(errs, err), append(read, i)
		return i
	}
	gauge := func(name, unit, text string) metric.Int64ObservableGauge {
		i, err := m.Int64ObservableGauge(name, metric.WithUnit(unit), metric.WithDescription(text))
		errs, read = append(errs, err), append(read, i)
		return i
	}
	upDown := func(name, unit, text string) metric.Int64ObservableUpDownCounter {
		i, err := m.Int64ObservableUpDownCounter(name, metric.WithUnit(unit), metric.WithDescription(text))
		errs, read = append(errs, err), append(read, i)
		return i
	}
	var err error
	o.duration, err = m.Float64Histogram("db.client.operation.duration", metric.WithUnit("s"),
		metric.WithDescription("Duration of the store's calls."), metric.WithExplicitBucketBoundaries(seconds...))
	errs = append(errs, err)
	o.batchSize, err = m.Int64Histogram("entsession.batch.size", metric.WithUnit("{call}"),
		metric.WithDescription("Calls that travelled in one batch."), metric.WithExplicitBucketBoundaries(sizes...))
	errs = append(errs, err)
	o.batchDuration, err = m.Float64Histogram("entsession.batch.duration", metric.WithUnit("s"),
		metric.WithDescription("Duration of a batch's statements, the wait for a connection included."), metric.WithExplicitBucketBoundaries(seconds...))
	errs = append(errs, err)

	o.laneCalls = counter("entsession.lane.calls", "{call}", "Calls that a lane has sent, alone or in a batch.")
	o.laneRefused = counter("entsession.lane.refused", "{call}", "Calls that were refused because too many waited.")
	o.laneLeft = counter("entsession.lane.left", "{call}", "Calls whose context ended while they waited.")
	o.laneWait = timer("entsession.lane.wait.time", "How long batched calls waited altogether until their batch was sent.")
	o.queue = gauge("entsession.lane.queue", "{call}", "Calls that wait for a place in a batch now.")
	o.inFlight = gauge("entsession.lane.in_flight", "{statement}", "Statements that are under way now.")
	o.places = gauge("entsession.lane.places", "{statement}", "Statements that the lane would send at a time, as it last decided.")
	o.retries = counter("entsession.retries", "{statement}", "Statements that were sent again after a lost connection, a deadlock and the like.")
	o.retriesRefused = counter("entsession.retries.refused", "{call}", "Errors that were returned without trying again, as the database was away for long or all retries were spent.")
	o.connections = upDown("db.client.connection.count", "{connection}", "Connections of the pool, by their state.")
	o.maxConnections = upDown("db.client.connection.max", "{connection}", "The most connections that the pool may open.")
	o.poolWaits = counter("entsession.pool.waits", "{wait}", "How often a statement had to wait for a connection.")
	o.poolWaitTime = timer("entsession.pool.wait.time", "How long statements waited for a connection altogether.")
	o.purges = counter("entsession.purge.runs", "{purge}", "Purges that have ended.")
	o.purgedRows = counter("entsession.purge.rows", "{row}", "Rows that purges have deleted.")
	o.purgedLast, err = m.Float64ObservableGauge("entsession.purge.last", metric.WithUnit("s"),
		metric.WithDescription("When a purge of this process last ended without an error, as a Unix time; none if none has."))
	errs, read = append(errs, err), append(read, o.purgedLast)
	if o.every > 0 {
		o.sessions = gauge("entsession.sessions", "{session}", "Rows of the table, by the state of the session. Live is who is signed in, and visitors.")
		o.stored = gauge("entsession.stored", "By", "Payload as stored, of all rows.")
	}
	o.registered, err = m.RegisterCallback(o.collect, read...)
	if err := errors.Join(append(errs, err)...); err != nil {
		otel.Handle(err)
	}
}

func (o *observer) closed() {
	if o.registered == nil {
		return
	}
	if err := o.registered.Unregister(); err != nil {
		otel.Handle(err)
	}
}

func (o *observer) with(more ...attribute.KeyValue) metric.MeasurementOption {
	return metric.WithAttributeSet(attribute.NewSet(slices.Concat(o.common, more)...))
}

func (o *observer) batch(info entsession.BatchInfo) {
	with := o.with(LaneKey.String(info.Lane), FailedKey.Bool(info.Failed))
	o.batchSize.Record(context.Background(), int64(info.Size), with)
	o.batchDuration.Record(context.Background(), info.Duration.Seconds(), with)
}

// collect reads what the store has counted.
func (o *observer) collect(ctx context.Context, to metric.Observer) error {
	stats, plain := o.store.Stats(), o.with()
	for _, l := range stats.Lanes {
		lane := LaneKey.String(l.Name)
		to.ObserveInt64(o.laneCalls, int64(l.Alone), o.with(lane, BatchedKey.Bool(false)))
		to.ObserveInt64(o.laneCalls, int64(l.Batched), o.with(lane, BatchedKey.Bool(true)))
		to.ObserveInt64(o.laneRefused, int64(l.Refused), o.with(lane))
		to.ObserveInt64(o.laneLeft, int64(l.Left), o.with(lane))
		to.ObserveFloat64(o.laneWait, l.Wait.Seconds(), o.with(lane))
		to.ObserveInt64(o.queue, int64(l.Queue), o.with(lane))
		to.ObserveInt64(o.inFlight, int64(l.InFlight), o.with(lane))
		to.ObserveInt64(o.places, int64(l.Places), o.with(lane))
	}
	to.ObserveInt64(o.retries, int64(stats.Retries), plain)
	to.ObserveInt64(o.retriesRefused, int64(stats.RetriesRefused), plain)

	pool := semconv.DBClientConnectionPoolName(o.table)
	to.ObserveInt64(o.connections, int64(stats.Pool.Idle), o.with(pool, semconv.DBClientConnectionStateIdle))
	to.ObserveInt64(o.connections, int64(stats.Pool.InUse), o.with(pool, semconv.DBClientConnectionStateUsed))
	to.ObserveInt64(o.maxConnections, int64(stats.Pool.MaxOpenConnections), o.with(pool))
	to.ObserveInt64(o.poolWaits, stats.Pool.WaitCount, o.with(pool))
	to.ObserveFloat64(o.poolWaitTime, stats.Pool.WaitDuration.Seconds(), o.with(pool))

	to.ObserveInt64(o.purges, int64(stats.Purge.Runs-stats.Purge.Failed), o.with(FailedKey.Bool(false)))
	to.ObserveInt64(o.purges, int64(stats.Purge.Failed), o.with(FailedKey.Bool(true)))
	to.ObserveInt64(o.purgedRows, int64(stats.Purge.Rows), plain)
	if !stats.Purge.Last.IsZero() {
		to.ObserveFloat64(o.purgedLast, float64(stats.Purge.Last.UnixMilli())/1000, plain)
	}
	if u := o.count(ctx); u != nil {
		to.ObserveInt64(o.sessions, u.Live, o.with(StateKey.String("live")))
		to.ObserveInt64(o.sessions, u.Expired, o.with(StateKey.String("expired")))
		to.ObserveInt64(o.sessions, u.Tombstones, o.with(StateKey.String("revoked")))
		to.ObserveInt64(o.stored, u.Bytes, plain)
	}
	return nil
}

// count gives the last count of the sessions, a new one if that is due, or nil if it can't be had: the call that failed says why.
func (o *observer) count(ctx context.Context) *entsession.Usage {
	if o.every <= 0 {
		return nil
	}
	u := &o.usage
	u.mu.Lock()
	defer u.mu.Unlock()
	if time.Now().Before(u.next) {
		return u.last
	}
	ctx, cancel := context.WithTimeout(ctx, usageTimeout)
	defer cancel()
	all, err := o.store.Usage(ctx)
	if err != nil {
		u.last, u.next = nil, time.Now().Add(min(usageAgain, o.every))
		return nil
	}
	mine := entsession.Usage{Application: o.store.Application()} // an empty table counts none
	for _, one := range all {
		if one.Application == mine.Application {
			mine = one
		}
	}
	u.last, u.next = &mine, time.Now().Add(o.every)
	return u.last
}

package otelsession_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/internal/dbtest"
	"github.com/entsession/entsession/otelsession"
)

// TestSpans pins names, kinds and attributes: dashboards are made of them.
func TestSpans(t *testing.T) {
	t.Parallel()
	e := newTelemetry()
	e.cfg.Attributes = []attribute.KeyValue{attribute.String("db.namespace", "shop")}
	s := open(t, dbtest.Kinds(dbtest.SQLite)[0].New(t), func(c *entsession.Config) {
		c.Observer, c.Application = otelsession.New(e.cfg), "shop"
	})
	ctx, parent := e.cfg.TracerProvider.Tracer("test").Start(t.Context(), "request")
	a, err := s.Create(ctx, []byte("x"))
	require.NoError(t, err)
	b, err := s.Load(ctx, a.ID())
	require.NoError(t, err)
	a.Data = []byte("y")
	require.NoError(t, s.Save(ctx, a))
	b.Data = []byte("z")
	require.ErrorIs(t, s.Save(ctx, b), entsession.ErrConflict)
	_, err = s.Create(ctx, nil, entsession.Set("nosuch", "x"))
	require.Error(t, err)
	parent.End()

	spans := e.spans.GetSpans()
	require.Len(t, spans, 6)
	attributes := func(more ...attribute.KeyValue) []attribute.KeyValue {
		return append([]attribute.KeyValue{
			attribute.String("db.system.name", "sqlite"), attribute.String("db.collection.name", "sessions"),
			attribute.String("db.namespace", "shop"), attribute.String("entsession.application", "shop"),
		}, more...)
	}
	load, conflict, refused := spans[1], spans[3], spans[4]
	require.Equal(t, "load sessions", load.Name)
	require.Equal(t, trace.SpanKindClient, load.SpanKind)
	require.Equal(t, parent.SpanContext().SpanID(), load.Parent.SpanID())
	require.Equal(t, attributes(attribute.String("db.operation.name", "load"), attribute.String("entsession.outcome", "ok"), attribute.Bool("entsession.batched", false)), load.Attributes)
	require.Equal(t, codes.Unset, load.Status.Code)

	require.Contains(t, conflict.Attributes, attribute.String("entsession.outcome", "conflict"))
	require.Equal(t, codes.Unset, conflict.Status.Code, "an answer, not a failure")
	require.Equal(t, attributes(attribute.String("db.operation.name", "create"), attribute.String("entsession.outcome", "refused"),
		attribute.Bool("entsession.batched", false), attribute.String("error.type", "refused")), refused.Attributes)
	require.Equal(t, codes.Error, refused.Status.Code)
	require.Equal(t, "refused", refused.Status.Description)

	require.Equal(t, []float64{0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10}, e.points(t)["db.client.operation.duration"][0].bounds)
}

// TestPanic: a call that a function of the application's ended with a panic has failed, and its span ends.
func TestPanic(t *testing.T) {
	t.Parallel()
	e := newTelemetry()
	s := open(t, dbtest.Kinds(dbtest.SQLite)[0].New(t), func(c *entsession.Config) { c.Observer = otelsession.New(e.cfg) })
	sess, err := s.Create(t.Context(), nil)
	require.NoError(t, err)
	require.Panics(t, func() {
		_, _ = s.Update(t.Context(), sess.ID(), func(*entsession.Session) error { panic("nobody may read this") })
	})
	spans := e.spans.GetSpans()
	require.Len(t, spans, 2)
	require.Equal(t, codes.Error, spans[1].Status.Code)
	require.Equal(t, "panic", spans[1].Status.Description)
	require.Contains(t, spans[1].Attributes, attribute.String("error.type", "panic"))
	require.Equal(t, 1.0, with(e.points(t)["db.client.operation.duration"], attribute.String("db.operation.name", "update"), otelsession.OutcomeKey.String("panic")))
	require.NotContains(t, e.text(t), "nobody")
}

// TestDatabaseError: the code of the database's is an attribute, its text is not.
func TestDatabaseError(t *testing.T) {
	t.Parallel()
	e := newTelemetry()
	db := dbtest.Kinds(dbtest.SQLite)[0].New(t)
	s := open(t, db, func(c *entsession.Config) { c.Observer = otelsession.New(e.cfg) })
	_, err := db.Admin(t).Exec("CREATE TRIGGER no BEFORE INSERT ON sessions BEGIN SELECT RAISE(ABORT, 'nobody may read this'); END")
	require.NoError(t, err)
	_, err = s.Create(t.Context(), nil)
	require.ErrorContains(t, err, "nobody may read this")
	require.Equal(t, 1.0, with(e.points(t)["db.client.operation.duration"], attribute.String("error.type", "1811"),
		attribute.String("db.response.status_code", "1811"), attribute.String("entsession.outcome", "error")))
	require.NotContains(t, e.text(t), "nobody")
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	e := newTelemetry()
	e.cfg.UsageInterval = time.Hour
	s := open(t, dbtest.Kinds(dbtest.SQLite)[0].New(t), func(c *entsession.Config) { c.Observer = otelsession.New(e.cfg) })
	ctx := t.Context()
	require.Zero(t, with(e.points(t)["entsession.sessions"]), "an empty table")
	for range 3 {
		_, err := s.Create(ctx, []byte("12345"))
		require.NoError(t, err)
	}
	sess, err := s.Create(ctx, nil)
	require.NoError(t, err)
	require.NoError(t, s.Delete(ctx, sess.ID()))
	_, err = s.Load(ctx, sess.ID())
	require.ErrorIs(t, err, entsession.ErrNotFound)
	_, err = s.Purge(ctx)
	require.NoError(t, err)

	got := e.points(t)
	operation := func(name string) attribute.KeyValue { return attribute.String("db.operation.name", name) }
	require.Equal(t, 4.0, with(got["db.client.operation.duration"], operation("create"), attribute.String("db.system.name", "sqlite")))
	require.Equal(t, 1.0, with(got["db.client.operation.duration"], operation("load"), otelsession.OutcomeKey.String("not_found")))
	require.Equal(t, 5.0, with(got["entsession.batch.size"], otelsession.LaneKey.String("write")), "SQLite's changes always travel so")
	require.Equal(t, 5.0, with(got["entsession.lane.calls"], otelsession.LaneKey.String("write"), otelsession.BatchedKey.Bool(true)))
	require.Equal(t, 1.0, with(got["entsession.lane.calls"], otelsession.LaneKey.String("load"), otelsession.BatchedKey.Bool(false)))
	require.Equal(t, 4.0, with(got["db.client.connection.max"]))
	require.Positive(t, with(got["db.client.connection.count"], attribute.String("db.client.connection.state", "idle"), attribute.String("db.client.connection.pool.name", "sessions")))
	require.Equal(t, 1.0, with(got["entsession.purge.runs"], otelsession.FailedKey.Bool(false)))
	require.InDelta(t, float64(time.Now().Unix()), with(got["entsession.purge.last"]), 600)
	require.Zero(t, with(got["entsession.sessions"]), "counted once an hour")
	for name, unit := range map[string]string{
		"db.client.operation.duration": "s", "entsession.batch.duration": "s", "entsession.lane.wait.time": "s", "entsession.pool.wait.time": "s",
		"entsession.lane.queue": "{call}", "entsession.retries": "{statement}", "entsession.stored": "By", "db.client.connection.count": "{connection}",
	} {
		require.NotEmpty(t, got[name], name)
		require.Equal(t, unit, got[name][0].unit, name)
	}

	require.NoError(t, s.Close())
	require.Empty(t, e.points(t)["entsession.lane.calls"], "what is closed says no more")
}

func TestUsage(t *testing.T) {
	t.Parallel()
	e := newTelemetry()
	e.cfg.UsageInterval = time.Nanosecond
	db := dbtest.Kinds(dbtest.SQLite)[0].New(t)
	s := open(t, db, func(c *entsession.Config) { c.Observer, c.Application = otelsession.New(e.cfg), "shop" })
	other := open(t, db, func(c *entsession.Config) { c.Application = "other" })
	_, err := other.Create(t.Context(), nil)
	require.NoError(t, err)
	for range 2 {
		_, err := s.Create(t.Context(), []byte("12345"))
		require.NoError(t, err)
	}
	gone, err := s.Create(t.Context(), nil)
	require.NoError(t, err)
	require.NoError(t, s.Delete(t.Context(), gone.ID()))
	got := e.points(t)
	state := func(name string) attribute.KeyValue { return attribute.String("entsession.session.state", name) }
	require.Equal(t, 2.0, with(got["entsession.sessions"], state("live"), attribute.String("entsession.application", "shop")))
	require.Equal(t, 1.0, with(got["entsession.sessions"], state("revoked")))
	require.Equal(t, 10.0, with(got["entsession.stored"]))

	_, err = db.Admin(t).Exec("ALTER TABLE sessions RENAME TO elsewhere")
	require.NoError(t, err)
	require.Empty(t, e.points(t)["entsession.sessions"], "no news rather than old news")
}

// TestGlobals: without providers of one's own it is OpenTelemetry's, which do nothing unless set.
func TestGlobals(t *testing.T) {
	t.Parallel()
	s := open(t, dbtest.Kinds(dbtest.SQLite)[0].New(t), func(c *entsession.Config) { c.Observer = otelsession.New(otelsession.Config{}) })
	_, err := s.Create(context.Background(), nil)
	require.NoError(t, err)
}

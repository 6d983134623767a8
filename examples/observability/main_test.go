package main

import (
	"encoding/json"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	promlabels "github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/entsession/entsession"
)

// TestQueries: every query of the dashboard and of the alerts asks for metrics and labels that Prometheus's exporter really serves, and every
// metric that is served is in the documentation.
func TestQueries(t *testing.T) {
	served := serve(t)

	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr, For string
				Annotations      map[string]string
			}
		}
	}
	text, err := os.ReadFile("../../docs/observability/alerts.yml")
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(text, &rules))
	docs, err := os.ReadFile("../../docs/observability.md")
	require.NoError(t, err)
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			served.check(t, r.Alert, r.Expr)
			if r.For != "" {
				_, err := model.ParseDuration(r.For)
				require.NoError(t, err, r.Alert)
			}
			kept := labels(t, r.Expr)
			for _, used := range regexp.MustCompile(`\$labels\.(\w+)`).FindAllStringSubmatch(r.Annotations["summary"], -1) {
				require.Contains(t, kept, used[1], r.Alert)
			}
			require.Contains(t, string(docs), "`"+r.Alert+"`", "what to do about it")
		}
	}

	var dashboard struct {
		Templating struct {
			List []struct {
				Query any
			}
		}
		Panels []struct {
			Title, Description string
			Targets            []struct{ Expr, LegendFormat string }
		}
	}
	text, err = os.ReadFile("../../docs/observability/dashboard.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &dashboard))
	queries := 0
	for _, p := range dashboard.Panels {
		for _, q := range p.Targets {
			queries++
			expr := strings.NewReplacer("$__rate_interval", "5m", "$job", "x", "$table", "sessions").Replace(q.Expr)
			require.NotContains(t, expr, "$", p.Title)
			served.check(t, p.Title, expr)
			kept := labels(t, expr)
			for _, used := range regexp.MustCompile(`{{(\w+)}}`).FindAllStringSubmatch(q.LegendFormat, -1) {
				require.Contains(t, kept, used[1], p.Title)
			}
		}
	}
	require.Greater(t, queries, 20)
	for _, v := range dashboard.Templating.List {
		if q, ok := v.Query.(map[string]any); ok {
			parts := regexp.MustCompile(`^label_values\((\w+), (\w+)\)$`).FindStringSubmatch(q["query"].(string))
			require.NotNil(t, parts, q)
			served.check(t, "variable", parts[1]+`{`+parts[2]+`!=""}`)
		}
	}

	for name := range served {
		base := regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, "")
		if base == "db_client_connection" { // …_count
			base = name
		}
		if strings.HasPrefix(name, "entsession_") || strings.HasPrefix(name, "db_") {
			require.Contains(t, string(docs), "`"+base+"`", "every metric is documented")
		}
	}
}

// metrics are what is served: the labels of each, and their values.
type metrics map[string]map[string][]string

// serve has a store do what gives every metric, and reads them as Prometheus does.
func serve(t *testing.T) metrics {
	t.Helper()
	file := filepath.Join(t.TempDir(), "sessions.db")
	store, err := open(t.Context(), file)
	require.NoError(t, err)
	defer store.Close()
	server := httptest.NewServer(handler(store))
	defer server.Close()
	res, err := server.Client().Get(server.URL)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	_, err = store.Create(t.Context(), nil, entsession.Set("nosuch", 1))
	require.Error(t, err)
	_, err = store.Purge(t.Context())
	require.NoError(t, err)

	res, err = server.Client().Get(server.URL + "/metrics")
	require.NoError(t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	out := metrics{}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		name, of := selector(t, line[:strings.LastIndexByte(line, ' ')])
		if out[name] == nil {
			out[name] = map[string][]string{"job": nil, "instance": nil} // Prometheus's own
		}
		for _, l := range of {
			out[name][l.Name] = append(out[name][l.Name], l.Value)
		}
	}
	return out
}

// selector parses a sample as it is served, without its value: it is an expression too.
func selector(t *testing.T, text string) (name string, of []*promlabels.Matcher) {
	t.Helper()
	s, ok := parse(t, text).(*parser.VectorSelector)
	require.True(t, ok, text)
	for _, m := range s.LabelMatchers {
		if m.Name != "__name__" {
			of = append(of, m)
		}
	}
	return s.Name, of
}

func parse(t *testing.T, expr string) parser.Expr {
	t.Helper()
	e, err := parser.NewParser(parser.Options{}).ParseExpr(expr)
	require.NoError(t, err, expr)
	return e
}

// known are values that the test need not have brought about.
var known = []string{
	entsession.OutcomeOK, entsession.OutcomeNotFound, entsession.OutcomeConflict, entsession.OutcomeRefused, entsession.OutcomeFunction, entsession.OutcomePanic, entsession.OutcomeCanceled,
	entsession.OutcomeTimeout, entsession.OutcomeOverloaded, entsession.OutcomeUnavailable, entsession.OutcomeClosed, entsession.OutcomeError,
	"load", "save", "update", "touch", "create", "commit", // operations
}

// check checks that an expression asks for what there is.
func (m metrics) check(t *testing.T, where, expr string) {
	t.Helper()
	parser.Inspect(parse(t, expr), func(n parser.Node, path []parser.Node) error {
		switch n := n.(type) {
		case *parser.VectorSelector:
			of := m[n.Name]
			require.NotNil(t, of, "%s: metric %s is not served", where, n.Name)
			for _, l := range n.LabelMatchers {
				if l.Name == "__name__" {
					continue
				}
				require.Contains(t, of, l.Name, "%s: label of %s", where, n.Name)
				if l.Name == "job" || l.Name == "db_collection_name" || l.Value == "" {
					continue
				}
				for value := range strings.SplitSeq(l.Value, "|") {
					require.True(t, slices.Contains(of[l.Name], value) || slices.Contains(known, value), "%s: value %s of label %s", where, value, l.Name)
				}
			}
			for _, p := range path { // what it is grouped by
				if a, ok := p.(*parser.AggregateExpr); ok {
					for _, l := range a.Grouping {
						require.Contains(t, of, l, "%s: label of %s", where, n.Name)
					}
				}
			}
		}
		return nil
	})
}

// labels are those that the outermost aggregations of an expression keep.
func labels(t *testing.T, expr string) (kept []string) {
	t.Helper()
	parser.Inspect(parse(t, expr), func(n parser.Node, _ []parser.Node) error {
		if a, ok := n.(*parser.AggregateExpr); ok {
			kept = append(kept, a.Grouping...)
		}
		return nil
	})
	return kept
}

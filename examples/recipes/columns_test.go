package recipes

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/examples/recipes/ent/session"
	"github.com/entsession/entsession/httpcolumns"
)

func TestColumns(t *testing.T) {
	onEach(t, func(t *testing.T, e *env) {
		cfg := &e.cfg
		source, err := httpcolumns.New(httpcolumns.Config{
			Address:        session.FieldAddress,
			UserAgent:      session.FieldUserAgent,
			LastSeen:       session.FieldLastSeen,
			TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, // your own, if there are any
		})
		cfg.ColumnsFunc = source.Columns
		require.NoError(t, err)
		a := e.open(t)
		e.user(t, "ann", "a")

		mux := http.NewServeMux()
		id := ""
		mux.HandleFunc("/", func(_ http.ResponseWriter, r *http.Request) {
			s, err := a.SignIn(r.Context(), "ann", "a")
			if err != nil {
				t.Error(err)
				return
			}
			id = s.ID()
		})
		handler := source.Handler(mux)
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.RemoteAddr = "10.1.2.3:4"
		r.Header.Set("X-Forwarded-For", "203.0.113.9, 192.0.2.1")
		r.Header.Set("User-Agent", "Mozilla/5.0")
		handler.ServeHTTP(httptest.NewRecorder(), r)

		s, err := a.sessions.Load(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, "192.0.2.1", s.Address)
		require.Equal(t, "Mozilla/5.0", s.UserAgent)
		require.NotNil(t, s.LastSeen)
	})
}

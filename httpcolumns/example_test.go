package httpcolumns_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"

	"github.com/entsession/entsession/httpcolumns"
)

func ExampleNew() {
	source, err := httpcolumns.New(httpcolumns.Config{
		Address:        "address",
		UserAgent:      "user_agent",
		UserAgentSize:  20,
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
	})
	if err != nil {
		log.Fatal(err)
	}
	// The store calls it with the contexts that the handlers hand to it: entsession.Config{ColumnsFunc: source.Columns}.
	save := func(ctx context.Context) {
		for _, c := range source.Columns(ctx) {
			fmt.Println(c.Name(), "=", c.Value())
		}
	}
	handler := source.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { save(r.Context()) }))

	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.RemoteAddr = "10.0.0.7:40000"                              // the proxy
	r.Header.Set("X-Forwarded-For", "203.0.113.9, 2001:db8::17") // the left one is what the client made up
	r.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64)")
	handler.ServeHTTP(httptest.NewRecorder(), r)
	// Output:
	// address = 2001:db8::17
	// user_agent = Mozilla/5.0 (X11; Li
}

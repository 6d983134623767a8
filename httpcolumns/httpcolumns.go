// Package httpcolumns fills columns of a session from the HTTP request that writes it: the client's address, the browser, and when they were last
// seen.
//
//	source, err := httpcolumns.New(httpcolumns.Config{
//		Address:        "address",
//		UserAgent:      "user_agent",
//		LastSeen:       "last_seen",
//		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
//	})
//	store, err := entsession.Open(ctx, entsession.Config{ColumnsFunc: source.Columns, …})
//	http.ListenAndServe(":8080", source.Handler(mux))
//
// This file has what an application uses; forwarded.go finds out whose request it is.
package httpcolumns

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/entsession/entsession"
)

// Config says which columns there are and what is in them. A column without a name is not written.
type Config struct {
	// Address is the column for the client's address: text of at most 39 characters, such as 192.0.2.1 or 2001:db8::1, without a port or a zone.
	Address string
	// UserAgent is the column for the request's User-Agent header: text, "" if there is none. What is no UTF-8, and control characters, are
	// replaced by U+FFFD.
	UserAgent string
	// UserAgentSize is what that column has room for, in bytes: a longer header is cut there, or before the rune that would not fit. Defaults to 255.
	UserAgentSize int
	// LastSeen is the column for the time of the last request that changed the session or, if the one it has is older than LastSeenInterval, saved it without a change. It
	// has to hold a time, such as a timestamp; it is written in UTC and whole seconds, by this host's clock.
	LastSeen string
	// LastSeenInterval is how far behind LastSeen may be: it causes no write of its own more often. Defaults to one minute; a negative
	// value writes it at every Save.
	LastSeenInterval time.Duration

	// TrustedProxies are the networks of the application's own proxies. What a request says of the way it came is believed as far back as these
	// have reported it: the client is the last hop that is none of them. Defaults to none: the client is who connects.
	TrustedProxies []netip.Prefix
	// Header is where those proxies add the address that they were called from: "X-Forwarded-For" or "Forwarded" (RFC 7239). It is one only, and has to be the one that
	// they write: the other comes from the client as it likes. Defaults to X-Forwarded-For.
	Header string
}

// Source gives the columns of requests. It is safe for concurrent use.
type Source struct {
	cfg Config
	now func() time.Time
}

// New checks the configuration. An error names the field.
func New(cfg Config) (*Source, error) {
	var errs []error
	wrong := func(field, format string, args ...any) {
		errs = append(errs, fmt.Errorf("httpcolumns: %s: %w", field, fmt.Errorf(format, args...)))
	}
	switch {
	case cfg.UserAgentSize < 0:
		wrong("UserAgentSize", "%d is negative: give the column's size in bytes, or 0 for 255", cfg.UserAgentSize)
	case cfg.UserAgentSize == 0:
		cfg.UserAgentSize = 255
	}
	if cfg.LastSeenInterval == 0 {
		cfg.LastSeenInterval = time.Minute
	}
	trusted := make([]netip.Prefix, 0, len(cfg.TrustedProxies))
	for i, p := range cfg.TrustedProxies {
		switch {
		case !p.IsValid():
			wrong("TrustedProxies", "number %d is no network: make it with netip.ParsePrefix", i+1)
		case p.Addr().Is4In6() && p.Bits() >= 96:
			trusted = append(trusted, netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96))
		default:
			trusted = append(trusted, p)
		}
	}
	cfg.TrustedProxies = trusted
	switch cfg.Header = http.CanonicalHeaderKey(cfg.Header); cfg.Header {
	case "":
		cfg.Header = forwardedFor
	case forwarded, forwardedFor:
	default:
		wrong("Header", "%q is not supported: use %s or %s", cfg.Header, forwardedFor, forwarded)
	}
	named := map[string]string{}
	for _, column := range [][2]string{{"Address", cfg.Address}, {"UserAgent", cfg.UserAgent}, {"LastSeen", cfg.LastSeen}} {
		field, name := column[0], column[1]
		if other, taken := named[name]; taken && name != "" {
			wrong(field, "column %q is that of %s already", name, other)
		}
		named[name] = field
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return &Source{cfg, time.Now}, nil
}

// request is what is kept of one, by the Source that saw it.
type request struct{ address, agent string }

type contextKey struct{ *Source }

// Handler is the middleware: it puts what the columns need into the request's context. It comes before whatever saves sessions.
func (s *Source) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(s.WithRequest(r.Context(), r)))
	})
}

// WithRequest is Handler for where there is no such middleware.
func (s *Source) WithRequest(ctx context.Context, r *http.Request) context.Context {
	found := request{agent: cut(r.UserAgent(), s.cfg.UserAgentSize)}
	if address := s.ClientAddress(r); address.IsValid() {
		found.address = address.String()
	}
	return context.WithValue(ctx, contextKey{s}, found)
}

// Columns is for entsession.Config.ColumnsFunc. A context in which there is no request, such as that of a background task, has no columns; an address that is
// not known, such as that of a Unix socket, leaves the column alone.
func (s *Source) Columns(ctx context.Context) []entsession.Column {
	r, ok := ctx.Value(contextKey{s}).(request)
	if !ok {
		return nil
	}
	columns := make([]entsession.Column, 0, 3)
	if s.cfg.Address != "" && r.address != "" {
		columns = append(columns, entsession.Set(s.cfg.Address, r.address))
	}
	if s.cfg.UserAgent != "" {
		columns = append(columns, entsession.Set(s.cfg.UserAgent, r.agent))
	}
	if s.cfg.LastSeen != "" {
		columns = append(columns, entsession.SetCoarse(s.cfg.LastSeen, s.now(), s.cfg.LastSeenInterval))
	}
	return columns
}

// cut makes text of at most size bytes that every database takes, of whatever a client sent.
func cut(agent string, size int) string {
	if len(agent) > size {
		agent = agent[:size]
		// The last rune may be in two, which is no fault of the client's.
		for i := 1; i < utf8.UTFMax && i <= len(agent); i++ {
			if b := agent[len(agent)-i:]; utf8.RuneStart(b[0]) {
				if !utf8.FullRuneInString(b) {
					agent = agent[:len(agent)-i]
				}
				break
			}
		}
	}
	clean := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return utf8.RuneError
		}
		return r // RuneError for what is no UTF-8
	}, agent)
	if len(clean) > size {
		return cut(clean, size) // a replacement has three bytes
	}
	return clean
}

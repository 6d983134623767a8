package httpcolumns

import (
	"net/http"
	"net/netip"
	"strings"
)

const (
	forwarded    = "Forwarded"
	forwardedFor = "X-Forwarded-For"
)

// ClientAddress is the address of the client: of who connects or, if that is a trusted proxy, of the last hop in the configured header that is none.
// If they are all trusted, it is the first one's. An entry that is no address, such as "unknown", ends the search: the address is then that of the proxy
// that wrote it, as what is further left may be the client's invention. The zero Addr is an address that is not known.
func (s *Source) ClientAddress(r *http.Request) netip.Addr {
	client, ok := parse(r.RemoteAddr)
	if !ok || !s.trusted(client) {
		return client
	}
	// From the right, where the nearest proxy wrote. An entry is looked at before anything to its left is, so that nothing that the client sent can change
	// how it reads.
	lines := r.Header[s.cfg.Header]
	for i := len(lines) - 1; i >= 0; i-- {
		for rest, more := lines[i], true; more; {
			var entry string
			rest, entry, more = lastEntry(rest, s.cfg.Header == forwarded)
			if entry == "" { // an empty one counts for nothing (RFC 9110, 5.6.1)
				continue
			}
			hop, ok := "", true
			if hop = entry; s.cfg.Header == forwarded {
				hop, ok = forOf(entry)
			}
			if !ok {
				return client
			}
			address, ok := parse(hop)
			if !ok {
				return client
			}
			if client = address; !s.trusted(client) {
				return client
			}
		}
	}
	return client
}

func (s *Source) trusted(a netip.Addr) bool {
	for _, p := range s.cfg.TrustedProxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// parse reads an address with or without a port: 192.0.2.1, 192.0.2.1:80, 2001:db8::1, [2001:db8::1], [2001:db8::1]:80.
func parse(text string) (netip.Addr, bool) {
	if port, err := netip.ParseAddrPort(text); err == nil {
		return port.Addr().Unmap().WithZone(""), true
	}
	if strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]") {
		text = text[1 : len(text)-1]
		if !strings.Contains(text, ":") {
			return netip.Addr{}, false
		}
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}, false
	}
	return a.Unmap().WithZone(""), true
}

// lastEntry splits off what is after the last comma that is not within quotes.
func lastEntry(line string, quotes bool) (rest, entry string, more bool) {
	if i := lastOutside(line, ',', quotes); i >= 0 {
		return line[:i], strings.Trim(line[i+1:], " \t"), true
	}
	return "", strings.Trim(line, " \t"), false
}

// lastOutside finds the last such byte that is not within a quoted string.
func lastOutside(text string, b byte, quotes bool) int {
	within := false
	for i := len(text) - 1; i >= 0; i-- {
		switch {
		case quotes && text[i] == '"' && (!within || !escaped(text[:i])):
			within = !within
		case text[i] == b && !within:
			return i
		}
	}
	return -1
}

// escaped tells whether a backslash before it takes a quote's meaning away.
func escaped(before string) bool {
	return (len(before)-len(strings.TrimRight(before, `\`)))%2 == 1
}

// forOf is the value of "for" in an entry of Forwarded: for="[2001:db8::1]:80";proto=https. An entry without one, or with two, has none.
func forOf(entry string) (value string, ok bool) {
	for more := true; more; {
		pair := ""
		if i := lastOutside(entry, ';', true); i >= 0 {
			entry, pair = entry[:i], entry[i+1:]
		} else {
			pair, more = entry, false
		}
		name, v, _ := strings.Cut(strings.Trim(pair, " \t"), "=")
		if !strings.EqualFold(name, "for") {
			continue
		}
		if ok {
			return "", false
		}
		if len(v) >= 2 && v[0] == '"' && v[len(v)-1] == '"' {
			v = v[1 : len(v)-1]
		}
		value, ok = v, true
	}
	return value, ok
}

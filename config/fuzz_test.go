package config

import (
	"bytes"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
)

// asYAML writes a configuration so that Parse reads it back.
func asYAML(cfg entsession.Config) string {
	yaml := "session: {store: {"
	d := &draft{Config: cfg}
	if cfg.Driver != "" {
		yaml += "driver: " + cfg.Driver + ", "
	}
	yaml += "options: {"
	for _, o := range table[1:] {
		value := o.get(d)
		if value == "" {
			continue
		}
		if o.shape == scalar {
			value = strconv.QuoteToASCII(value)
		}
		yaml += o.Name + ": " + value + ", "
	}
	return yaml + "}}}"
}

// asDSN writes a configuration so that DSN reads it back.
func asDSN(cfg entsession.Config) string {
	query := url.Values{}
	d := &draft{Config: cfg}
	for _, o := range table[1:] {
		if value := o.get(d); value != "" {
			query.Set(o.Name, value)
		}
	}
	return cfg.Driver + "://?" + query.Encode()
}

var (
	passwordLine = regexp.MustCompile(`(?m)^\s*password: ([A-Za-z0-9][A-Za-z0-9_.@%+=/!-]{3,})\s*$`)
	quotes       = "\"'|>" // within them, "password: x" may be anything
	escaped      = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)
)

// FuzzParse shows that no YAML makes Parse panic, that an error is the same whatever the password is, and that what was
// read, written and read again is the same.
func FuzzParse(f *testing.F) {
	f.Add([]byte(Example))
	f.Add([]byte("a: &a {port: 1}\nsession: {<<: *a, store: {options: {<<: [*a], password: x}}}"))
	f.Add([]byte("session:\n  store:\n    driver: A::Pg\n    options:\n      database: x\n      password: *hunter2\n      prot: 1\n"))
	f.Add([]byte("session:\n  store:\n    options:\n      params: {a: b, a: c}\n      on_connect: [1, [2]]\n      password: hunter2\n      timeout: 1.5\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<14 || bytes.Contains(data, []byte("password_")) { // the machine's own files and variables
			return
		}
		cfg, err := Parse("fuzz.yaml", data)
		if err == nil {
			again, err := Parse("again.yaml", []byte(asYAML(cfg)))
			require.NoError(t, err, asYAML(cfg))
			require.Equal(t, cfg, again)
			return
		}
		require.Equal(t, entsession.Config{}, cfg)
		m := passwordLine.FindSubmatch(data)
		if m == nil || bytes.ContainsAny(data, quotes) || bytes.Count(data, m[1]) > 1 || strings.EqualFold(string(m[1]), "null") {
			return
		}
		_, otherErr := Parse("fuzz.yaml", bytes.Replace(data, m[1], bytes.Repeat([]byte("Z"), len(m[1])), 1))
		require.EqualError(t, otherErr, err.Error(), "with another password")
	})
}

// FuzzDSN shows that no DSN makes DSN panic, that no error tells what may be a password, even where the DSN cannot be
// read, and that what was read, written and read again is the same.
func FuzzDSN(f *testing.F) {
	for _, seed := range [][3]string{
		{"postgres://user:", "", "@host:5432/db?sslmode=disable&table=app.sessions&expiration_timeout=3600"},
		{"mysql://user:", "%40/", "@[::1]:3306/db?timeout=5s&params={a: b}"},
		{"sqlite:", "///abs", ".db?on_connect=[a, b]&port=x"},
		{"postgres://u:5?port=", "#", "@h/db"},
		{"postgres:///db?host=/run&password=", "", ""},
		{"nosuch://u:", "%zz", "@h:1,i:2/d/e?%20=1"},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	const secret = "hunter2"
	f.Fuzz(func(t *testing.T, before, within, after string) {
		dsn := before + within + after
		plain := escaped.ReplaceAllStringFunc(dsn, func(s string) string {
			c, _ := strconv.ParseUint(s[1:], 16, 8)
			return string([]byte{byte(c)})
		})
		if len(dsn) > 1<<12 || strings.Contains(plain, "password_") { // as above
			return
		}
		if cfg, err := DSN(dsn); err == nil {
			again, err := DSN(asDSN(cfg))
			if cfg.Driver == "sqlite" {
				again, err = DSN(strings.Replace(asDSN(cfg), "://", ":", 1))
			}
			require.NoError(t, err, asDSN(cfg))
			require.Equal(t, cfg, again)
		}
		// With a password put between :// and the last @, whatever is around it.
		if !strings.Contains(before, "://") || strings.Contains(dsn, secret) {
			return
		}
		if _, err := DSN(before + within + secret + "@" + after); err != nil {
			require.NotContains(t, err.Error(), secret)
		}
	})
}

package entsession_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
)

func TestDefaults(t *testing.T) {
	t.Parallel()
	c, err := entsession.Config{Database: "x"}.WithDefaults()
	require.NoError(t, err)
	require.NotNil(t, c.Rand)
	c.Rand = nil
	require.Equal(t, entsession.Config{
		Driver: "postgres", Database: "x", Hostname: "localhost", Table: "sessions",
		ExpirationTimeout: 30 * time.Minute, TouchInterval: time.Minute, MaxDataBytes: 1 << 20,
		ConnectionCheckThreshold: 30 * time.Second, MaxOpenConns: 16, MaxIdleConns: 16, StatementTimeout: 30 * time.Second, MaxQueue: 10_000,
		AutopurgeProbability: 0.1, PurgeBatch: 500, PurgeInterval: time.Minute, PurgeGrace: 10 * time.Minute,
		Hooks: entsession.Hooks{Queue: 10_000},
	}, c)

	c, err = entsession.Config{Driver: "sqlite", ExpirationTimeout: 100 * time.Second}.WithDefaults()
	require.NoError(t, err)
	require.Equal(t, 10*time.Second, c.TouchInterval, "a tenth")
	require.Equal(t, 4, c.MaxOpenConns)
	require.Empty(t, c.Hostname)
	c, err = entsession.Config{ExpirationTimeout: 5 * time.Second}.WithDefaults()
	require.NoError(t, err)
	require.Zero(t, c.TouchInterval)
}

func TestNegativeMeansNone(t *testing.T) {
	t.Parallel()
	c, err := entsession.Config{
		TouchInterval: -1, ConnectionCheckThreshold: -1, StatementTimeout: -1, AutopurgeProbability: -1, PurgeInterval: -1, PurgeGrace: -1,
	}.WithDefaults()
	require.NoError(t, err)
	require.Zero(t, c.TouchInterval)
	require.Zero(t, c.ConnectionCheckThreshold)
	require.Zero(t, c.StatementTimeout)
	require.Zero(t, c.AutopurgeProbability)
	require.Zero(t, c.PurgeInterval)
	require.Zero(t, c.PurgeGrace)
}

func TestConfigurationErrors(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]entsession.Config{
		`Driver: "oracle" is unknown: use postgres, mysql or sqlite`:             {Driver: "oracle"},
		`Port: 65536 is not between 1 and 65535`:                                 {Port: 65536},
		`Port: -1 is not`:                                                        {Port: -1},
		`ExpirationTimeout: 1.5s is not in whole seconds`:                        {ExpirationTimeout: 1500 * time.Millisecond},
		`ExpirationTimeout: -1s is negative`:                                     {ExpirationTimeout: -time.Second},
		`ExpirationTimeout: 876000h0m0s is longer than 68 years`:                 {ExpirationTimeout: 876000 * time.Hour},
		`MaxLifetime: -1s is negative`:                                           {MaxLifetime: -time.Second},
		`MaxDataBytes: -1 is negative`:                                           {MaxDataBytes: -1},
		`AutopurgeProbability: 1.5 is not between 0 and 1`:                       {AutopurgeProbability: 1.5},
		`PurgeBatch: 10001 is more than 10000`:                                   {PurgeBatch: 10001},
		`ConnMaxLifetime: -1s is negative`:                                       {ConnMaxLifetime: -time.Second},
		`ConnMaxIdleTime: -1s is negative`:                                       {ConnMaxIdleTime: -time.Second},
		`Application: a name of 256 characters is too long`:                      {Application: strings.Repeat("ü", 256)},
		`Application: "a\x00" is not UTF-8 text without NUL`:                     {Application: "a\x00"},
		`Application: "a " ends in a blank`:                                      {Application: "a "},
		`Table: "app.sessions" names a schema, and SQLite has none`:              {Driver: "sqlite", Table: "app.sessions"},
		`Table: table "a b": name has the character ' ' at byte 1`:               {Table: "a b"},
		`Database: is required`:                                                  {},
		"Port: 70000 is not between 1 and 65535\n\tMaxDataBytes: -5 is negative": {Port: 70000, MaxDataBytes: -5},
	} {
		_, err := entsession.Open(context.Background(), c)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "entsession: configuration: ")
	}
}

func TestHistoricDriverNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"": "postgres", "postgres": "postgres", "Some::Handler::Pg": "postgres", "Some::Handler::MySQL": "mysql",
		"Some::Handler::SQLite": "sqlite", "mariadb": "mysql", "sqlite3": "sqlite",
	} {
		c, err := entsession.Config{Driver: name}.WithDefaults()
		require.NoError(t, err, name)
		require.Equal(t, want, c.Driver)
	}
}

func TestConfigHidesThePassword(t *testing.T) {
	t.Parallel()
	c := entsession.Config{Database: "shop", Password: "Tr0ub4dor", OnConnect: []string{"SET x = 'Tr0ub4dor'"}, Params: map[string]string{"sslpassword": "Tr0ub4dor", "sslmode": "require"}}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
		text := fmt.Sprintf(verb, c) + fmt.Sprintf(verb, &c) + fmt.Sprintf(verb, []entsession.Config{c})
		require.NotContains(t, text, "Tr0ub4dor", verb)
		require.NotContains(t, text, fmt.Sprintf("%x", "Tr0ub4dor"), verb)
	}
	require.Contains(t, fmt.Sprintf("%+v", c), "Database:shop")
	require.Contains(t, fmt.Sprintf("%+v", c), "sslmode:require")
	require.NotContains(t, c.LogValue().String(), "Tr0ub4dor")
	require.Equal(t, "Tr0ub4dor", c.Password)
	require.Equal(t, "Tr0ub4dor", c.Params["sslpassword"], "what is printed is a copy")
}

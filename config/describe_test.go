package config_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/config"
)

func describe(t *testing.T, cfg entsession.Config) []string {
	t.Helper()
	settings, err := config.Describe(cfg)
	require.NoError(t, err)
	lines := make([]string, len(settings))
	for i, s := range settings {
		lines[i] = s.Name + "=" + s.Value
		if s.Default {
			lines[i] += " (default)"
		}
	}
	return lines
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	cfg, err := config.Parse("", []byte(options("database: x", "password: hunter2", "touch_interval: 0", "autopurge_probability: 0",
		"autopurge: 0", "timeout: 600", "statement_timeout: 1.5", "max_open_conns: 7", "on_connect: ['A', \"B\\n\"]",
		"params: {sslpassword: hunter2, b: <1>}", "purge_grace: none")))
	require.NoError(t, err)
	lines := describe(t, cfg)
	require.NotContains(t, fmt.Sprint(lines), "hunter2")
	require.Equal(t, []string{
		"driver=postgres (default)",
		"table=sessions (default)",
		"database=x",
		"username=the user running the program (default)",
		"password=***",
		"hostname=localhost (default)",
		"port=5432 (default)",
		"charset=UTF-8 (default)",
		"connection_check_threshold=30 (default)",
		"expiration_timeout=600",
		"autopurge=0",
		"autopurge_probability=0",
		"application=none (default)",
		`on_connect=["A", "B\n"]`,
		`params={"b": "<1>", "sslpassword": "***"}`,
		"hash_ids=1 (default)",
		"touch_interval=0",
		"max_lifetime=none (default)",
		"max_data_bytes=1048576 (default)",
		"max_open_conns=7",
		"max_idle_conns=7 (default)",
		"conn_max_lifetime=none (default)",
		"conn_max_idle_time=none (default)",
		"statement_timeout=1.5s",
		"batching=1 (default)",
		"max_queue=10000 (default)",
		"purge_batch=500 (default)",
		"purge_interval=60 (default)",
		"purge_grace=0",
	}, lines)
	require.Equal(t, "hunter2", cfg.Params["sslpassword"], "the configuration itself is left as it was")
}

func TestDescribeDrivers(t *testing.T) {
	t.Parallel()
	lines := describe(t, entsession.Config{Driver: "Some::Handler::MySQL", Database: "x", ExpirationTimeout: 5 * time.Second})
	require.Contains(t, lines, "driver=mysql")
	require.Contains(t, lines, "port=3306 (default)")
	require.Contains(t, lines, "password=none (default)")
	require.Contains(t, lines, "touch_interval=0 (default)")
	lines = describe(t, entsession.Config{Driver: "sqlite", Database: "x.db"})
	require.Contains(t, lines, "database=x.db")
	require.NotContains(t, strings.Join(lines, "\n"), "hostname")
	_, err := config.Describe(entsession.Config{Port: -1})
	require.ErrorContains(t, err, "Port: -1")
}

// The defaults that the documentation states are those that entsession applies.
func TestDefaults(t *testing.T) {
	t.Parallel()
	var yaml []string
	for _, o := range config.Options() {
		require.NotEmpty(t, o.Type, o.Name)
		require.NotEmpty(t, o.Default, o.Name)
		require.True(t, strings.HasSuffix(o.Doc, "."), o.Name)
		switch o.Default {
		case "required", "none", "the database's own", "the user running the program", "`max_open_conns`", "16; SQLite 4":
			continue
		}
		if o.Name != "driver" && o.Name != "touch_interval" {
			yaml = append(yaml, o.Name+": "+o.Default)
		}
	}
	require.Greater(t, len(yaml), 10)
	cfg, err := config.Parse("", []byte(options(yaml...)))
	require.NoError(t, err)
	given, err := cfg.WithDefaults()
	require.NoError(t, err)
	bare, err := entsession.Config{Charset: "UTF-8"}.WithDefaults()
	require.NoError(t, err)
	given.Rand, bare.Rand = nil, nil
	require.Equal(t, bare, given)
}

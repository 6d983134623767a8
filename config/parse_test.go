package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/config"
)

// options is a configuration whose options are the lines, from line 4 on.
func options(lines ...string) string {
	return "session:\n  store:\n    options:\n      " + strings.Join(lines, "\n      ") + "\n"
}

func TestExample(t *testing.T) {
	t.Parallel()
	cfg, err := config.Parse("example.yaml", []byte(config.Example))
	require.NoError(t, err)
	require.Equal(t, entsession.Config{
		Driver:                   "postgres",
		Table:                    "sessions",
		Database:                 "test",
		Username:                 "test",
		Password:                 "test",
		Hostname:                 "localhost",
		Port:                     5432,
		Charset:                  "utf8",
		ConnectionCheckThreshold: 10 * time.Second,
		ExpirationTimeout:        time.Hour,
		DisableAutopurge:         true,
		AutopurgeProbability:     0.1,
		Application:              "shop",
		OnConnect:                []string{"SET statement_timeout = '5s'"},
		Params:                   map[string]string{"sslmode": "verify-full"},
	}, cfg)
	for _, o := range config.Options() {
		require.Contains(t, config.Example, o.Name+":", "the example shows every option")
	}
}

// What the example shows as a default, commented out, must be one: it changes nothing.
func TestExampleDefaults(t *testing.T) {
	t.Parallel()
	_, ours, _ := strings.Cut(config.Example, "dsn_extra is an alias\n")
	yaml := options("database: x") + strings.ReplaceAll(ours, "\n      # ", "\n      ")
	cfg, err := config.Parse("example.yaml", []byte(yaml))
	require.NoError(t, err)
	require.Equal(t, 500, cfg.PurgeBatch, "the defaults were read")
	withDefaults, err := cfg.WithDefaults()
	require.NoError(t, err)
	bare, err := entsession.Config{Database: "x", MaxOpenConns: 16}.WithDefaults()
	require.NoError(t, err)
	withDefaults.Rand, bare.Rand = nil, nil
	bare.TouchInterval = withDefaults.TouchInterval // of 30 minutes, both one minute
	require.Equal(t, bare, withDefaults)
}

func TestParse(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		yaml string
		want entsession.Config
	}{
		"the application's own keys": {
			"port: abc\nport: def\n? [a]\n: b\nsession:\n  cookie: {name: sid}\n  cookie: 2\n  store:\n    options: {database: x}\n",
			entsession.Config{Database: "x"}},
		"byte order mark":     {"\ufeff" + options("database: x"), entsession.Config{Database: "x"}},
		"line ends of CRLF":   {strings.ReplaceAll(options("database: x", "port: 5"), "\n", "\r\n"), entsession.Config{Database: "x", Port: 5}},
		"driver alone":        {"session: {store: {driver: mariadb}}", entsession.Config{Driver: "mysql"}},
		"postgresql":          {"session: {store: {driver: postgresql}}", entsession.Config{Driver: "postgres"}},
		"pg":                  {"session: {store: {driver: pg}}", entsession.Config{Driver: "postgres"}},
		"sqlite3":             {"session: {store: {driver: sqlite3}}", entsession.Config{Driver: "sqlite"}},
		"historic Pg":         {"session: {store: {driver: Some::Handler::Pg}}", entsession.Config{Driver: "postgres"}},
		"historic MySQL":      {"session: {store: {driver: 'A::MySQL'}}", entsession.Config{Driver: "mysql"}},
		"historic SQLite":     {"session: {store: {driver: '::SQLite'}}", entsession.Config{Driver: "sqlite"}},
		"JSON":                {`{"session":{"store":{"options":{"database":"x","port":1}}}}`, entsession.Config{Database: "x", Port: 1}},
		"null is absent":      {options("database: x", "password:", "port: ~", "timeout: null", "expiration_timeout: 5"), entsession.Config{Database: "x", ExpirationTimeout: 5 * time.Second}},
		"null options":        {"session: {store: {driver: pg, options: }}", entsession.Config{Driver: "postgres"}},
		"quoted number":       {options(`port: "5432"`, `autopurge: "0"`), entsession.Config{Port: 5432, DisableAutopurge: true}},
		"password number":     {options("password: 0123"), entsession.Config{Password: "0123"}},
		"password with e":     {options("password: 1e10"), entsession.Config{Password: "1e10"}},
		"password boolean":    {options("password: yes"), entsession.Config{Password: "yes"}},
		"password 'null'":     {options("password: 'null'"), entsession.Config{Password: "null"}},
		"password !!str":      {options("password: !!str null"), entsession.Config{Password: "null"}},
		"password empty":      {options(`password: ""`), entsession.Config{}},
		"password blank":      {options(`password: "  "`), entsession.Config{Password: "  "}},
		"application of 255":  {options("application: " + strings.Repeat("ü", 255)), entsession.Config{Application: strings.Repeat("ü", 255)}},
		"alias timeout":       {options("timeout: 60"), entsession.Config{ExpirationTimeout: time.Minute}},
		"alias dsn_extra":     {options("dsn_extra: {a: b}"), entsession.Config{Params: map[string]string{"a": "b"}}},
		"params scalars":      {options("params: {a: true, b: 007, c: 1.50, d: , e: ''}"), entsession.Config{Params: map[string]string{"a": "true", "b": "007", "c": "1.50", "e": ""}}},
		"params text":         {options(`params: "a=b, , c = d=e"`), entsession.Config{Params: map[string]string{"a": "b", "c": "d=e"}}},
		"params empty":        {options("params: {}"), entsession.Config{}},
		"on_connect string":   {options("on_connect: SELECT 1"), entsession.Config{OnConnect: []string{"SELECT 1"}}},
		"on_connect [":        {options(`on_connect: "[1]"`), entsession.Config{OnConnect: []string{"[1]"}}},
		"on_connect list":     {options("on_connect:", "- SELECT 1", "- 2"), entsession.Config{OnConnect: []string{"SELECT 1", "2"}}},
		"hash_ids off":        {options("hash_ids: 0"), entsession.Config{PlainIDs: true}},
		"hash_ids on":         {options("hash_ids: yes"), entsession.Config{}},
		"autopurge words":     {options("autopurge: No"), entsession.Config{DisableAutopurge: true}},
		"probability 0":       {options("autopurge_probability: 0"), entsession.Config{AutopurgeProbability: -1}},
		"probability 1":       {options("autopurge_probability: 1"), entsession.Config{AutopurgeProbability: 1}},
		"probability 1e-3":    {options("autopurge_probability: 1e-3"), entsession.Config{AutopurgeProbability: 0.001}},
		"duration text":       {options("timeout: 2h", "max_lifetime: 1h30m", "purge_interval: 1m"), entsession.Config{ExpirationTimeout: 2 * time.Hour, MaxLifetime: 90 * time.Minute, PurgeInterval: time.Minute}},
		"duration fraction":   {options("statement_timeout: 0.25", "connection_check_threshold: 1.5s"), entsession.Config{StatementTimeout: 250 * time.Millisecond, ConnectionCheckThreshold: 1500 * time.Millisecond}},
		"duration 1.0":        {options("timeout: 60.0"), entsession.Config{ExpirationTimeout: time.Minute}},
		"zero always or off":  {options("touch_interval: 0", "connection_check_threshold: 0", "statement_timeout: 0", "purge_interval: 0", "purge_grace: 0"), entsession.Config{TouchInterval: -time.Second, ConnectionCheckThreshold: -time.Second, StatementTimeout: -time.Second, PurgeInterval: -time.Second, PurgeGrace: -time.Second}},
		"zero none":           {options("max_lifetime: 0", "conn_max_lifetime: 0", "conn_max_idle_time: 0s"), entsession.Config{}},
		"the word none":       {options("max_lifetime: none", "statement_timeout: none", "purge_grace: none"), entsession.Config{StatementTimeout: -time.Second, PurgeGrace: -time.Second}},
		"counts":              {options("max_data_bytes: 1", "max_open_conns: 2", "max_idle_conns: 3", "purge_batch: 10000"), entsession.Config{MaxDataBytes: 1, MaxOpenConns: 2, MaxIdleConns: 3, PurgeBatch: 10000}},
		"68 years":            {options("timeout: 2147483647"), entsession.Config{ExpirationTimeout: 2147483647 * time.Second}},
		"anchor":              {"base: &b x\nsession: {store: {options: {database: *b}}}", entsession.Config{Database: "x"}},
		"merge":               {"base: &b {port: 1, table: t}\nsession: {store: {options: {<<: *b, port: 2}}}", entsession.Config{Port: 2, Table: "t"}},
		"merge of several":    {"a: &a {port: 1}\nb: &b {port: 2, table: t}\nsession: {store: {options: {<<: [*a, *b]}}}", entsession.Config{Port: 1, Table: "t"}},
		"merge of a merge":    {"a: &a {port: 1}\nb: &b {<<: *a, table: t}\nsession: {store: {options: {<<: *b}}}", entsession.Config{Port: 1, Table: "t"}},
		"merge above":         {"a: &a {store: {driver: pg}}\nsession: {<<: *a, cookie: 1}", entsession.Config{Driver: "postgres"}},
		"endless merge":       {"session: {store: {options: &o {port: 1, <<: *o}}}", entsession.Config{Port: 1}},
		"file URI for sqlite": {options("database: file:///x.db"), entsession.Config{Database: "file:///x.db"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, err := config.Parse("app.yaml", []byte(test.yaml))
			require.NoError(t, err)
			require.Equal(t, test.want, cfg)
		})
	}
}

// A merge of merges of merges, ten thousand deep, reads in no time: 2^10000 mappings, each taken once.
func TestParseBomb(t *testing.T) {
	t.Parallel()
	var yaml strings.Builder
	yaml.WriteString("a: &a0 {port: 1}\nb:\n")
	for i := range 10_000 {
		before, after := "*a"+itoa(i), "&a"+itoa(i+1)
		yaml.WriteString("- " + after + " {<<: [" + before + ", " + before + "]}\n")
	}
	yaml.WriteString("session: {store: {options: *a10000}}\n")
	cfg, err := config.Parse("app.yaml", []byte(yaml.String()))
	require.NoError(t, err)
	require.Equal(t, 1, cfg.Port)
}

func TestFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "app.yaml")
	require.NoError(t, os.WriteFile(path, []byte(options("database: x", "port: y")), 0o600))
	_, err := config.File(path)
	require.EqualError(t, err, path+`:5: session.store.options.port: "y" is not a whole number`)

	require.NoError(t, os.WriteFile(path, []byte(options("database: x")), 0o600))
	cfg, err := config.File(path)
	require.NoError(t, err)
	require.Equal(t, "x", cfg.Database)

	_, err = config.File(filepath.Join(dir, "absent.yaml"))
	require.ErrorIs(t, err, os.ErrNotExist)
	require.EqualError(t, err, "reading the configuration: open "+dir+"/absent.yaml: no such file or directory")
	_, err = config.File(dir)
	require.ErrorContains(t, err, "is a directory")
	_, err = config.File("/dev/zero")
	require.EqualError(t, err, "reading the configuration: /dev/zero has more than 1048576 bytes")
}

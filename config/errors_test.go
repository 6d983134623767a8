package config_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/config"
)

func itoa(n int) string { return strconv.Itoa(n) }

const (
	opt   = ": session.store.options."
	where = ": the database is named at session.store.driver, the rest under session.store.options"
)

func TestParseErrors(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ yaml, want string }{
		"empty":               {"", "app.yaml: is empty" + where},
		"comments":            {"# nothing\n", "app.yaml: is empty" + where},
		"null":                {"--- ~", "app.yaml: is empty" + where},
		"scalar":              {"hunter2", "app.yaml:1: is a scalar, but must be a map"},
		"list":                {"\n- a", "app.yaml:2: is a list, but must be a map"},
		"no session":          {"sesion: {}", "app.yaml:1: has no session" + where},
		"null session":        {"session:", "app.yaml:1: has no session" + where},
		"session list":        {"a: 1\nsession: []", "app.yaml:2: session: is a list, but must be a map"},
		"no store":            {"session:\n  stor: {}", "app.yaml:1: session: has no store" + where},
		"store scalar":        {"session:\n  store: postgres", "app.yaml:2: session.store: is a scalar, but must be a map"},
		"options list":        {"session:\n  store:\n    options:\n    - port: 1", "app.yaml:3: session.store.options: is a list, but must be a map"},
		"two documents":       {"session: {store: {driver: pg}}\n---\na: b", "app.yaml:2: a second document: only one is read"},
		"not YAML":            {"session:\n  store:\n    driver: a: b", "app.yaml:3: is not YAML: mapping values are not allowed in this context"},
		"tab":                 {"session:\n\tstore:\n", "app.yaml:2: is not YAML: found character that cannot start any token"},
		"too deep":            {strings.Repeat("[", 20000), "app.yaml:1: is not YAML: exceeded max depth of 10000"},
		"too large":           {strings.Repeat(" ", 1<<20+1), "app.yaml: has 1048577 bytes, more than 1048576"},
		"invalid UTF-8":       {"a: \ufffd\nsession: \xff", "app.yaml:2: is not YAML: a control character, or not UTF-8"},
		"control character":   {"# \n\nsession: \x01", "app.yaml:3: is not YAML: a control character, or not UTF-8"},
		"UTF-16":              {"\xfe\xff\x00a", "app.yaml:1: is not YAML: a control character, or not UTF-8"},
		"session twice":       {"session: {store: {driver: pg}}\nsession: {}", "app.yaml:2: session: is given twice (line 1)"},
		"unknown key":         {options("database: x", "prot: 5432"), "app.yaml:5" + opt + `prot: unknown key; the nearest is "port"`},
		"unknown with case":   {options("Expiration-Timeout: 1"), "app.yaml:4" + opt + `Expiration-Timeout: unknown key; the nearest is "expiration_timeout"`},
		"unknown in store":    {"session:\n  store:\n    drivr: pg", `app.yaml:3: session.store.drivr: unknown key; the nearest is "driver"`},
		"option in store":     {"session:\n  store:\n    port: 5", "app.yaml:3: session.store.port: belongs into options"},
		"driver in options":   {options("driver: pg"), "app.yaml:4" + opt + "driver: belongs into store"},
		"key twice":           {options("port: 1", "port: 2"), "app.yaml:5" + opt + "port: is given twice (line 4)"},
		"null twice":          {options("port:", "port:"), "app.yaml:5" + opt + "port: is given twice (line 4)"},
		"name and alias":      {options("timeout: 1", "port: 1", "expiration_timeout: 1"), "app.yaml:6" + opt + "expiration_timeout: excludes timeout (line 4): keep one of them"},
		"params and alias":    {options("params: {}", "dsn_extra: {}"), "app.yaml:5" + opt + "dsn_extra: excludes params (line 4): keep one of them"},
		"two passwords":       {options("password: a", "password_file: b"), "app.yaml:5" + opt + "password_file: excludes password (line 4): keep one of them"},
		"key is a list":       {options("? [a]", ": b"), "app.yaml:4: session.store.options: has a list for a key"},
		"driver":              {"session:\n  store:\n    driver: Postgress", `app.yaml:3: session.store.driver: "Postgress" is not a database; the nearest is "postgres"`},
		"driver list":         {"session:\n  store:\n    driver: [pg]", "app.yaml:3: session.store.driver: is a list, but takes one value"},
		"port text":           {options("port: http"), "app.yaml:4" + opt + `port: "http" is not a whole number`},
		"port 0":              {options("port: 0"), "app.yaml:4" + opt + `port: "0" is out of range: from 1 to 65535`},
		"port 65536":          {options("port: 65536"), "app.yaml:4" + opt + `port: "65536" is out of range: from 1 to 65535`},
		"port huge":           {options("port: 99999999999999999999"), "app.yaml:4" + opt + `port: "99999999999999999999" is out of range: from 1 to 65535`},
		"port octal":          {options("port: 0123"), "app.yaml:4" + opt + `port: "0123" is not a whole number`},
		"port fraction":       {options("port: 1.0"), "app.yaml:4" + opt + `port: "1.0" is not a whole number`},
		"port empty":          {options(`port: ""`), "app.yaml:4" + opt + `port: "" is not a whole number`},
		"port map":            {options("port: {a: b}"), "app.yaml:4" + opt + "port: is a map, but takes one value"},
		"port tagged":         {options("port: !five 5"), "app.yaml:4" + opt + `port: has the YAML tag "!five", which is not understood`},
		"long value":          {options("port: " + strings.Repeat("ü", 100)), "app.yaml:4" + opt + `port: "` + strings.Repeat("ü", 64) + `"… is not a whole number`},
		"several lines":       {options(`port: "a\nb"`), "app.yaml:4" + opt + `port: "a\nb" is not a whole number`},
		"batch 0":             {options("purge_batch: 0"), "app.yaml:4" + opt + `purge_batch: "0" is out of range: from 1 to 10000`},
		"bytes 0":             {options("max_data_bytes: 0"), "app.yaml:4" + opt + `max_data_bytes: "0" is out of range: at least 1`},
		"conns -1":            {options("max_open_conns: -1"), "app.yaml:4" + opt + `max_open_conns: "-1" is out of range: at least 1`},
		"conns huge":          {options("max_idle_conns: 2147483648"), "app.yaml:4" + opt + `max_idle_conns: "2147483648" is out of range: from 1 to 2147483647`},
		"boolean":             {options("autopurge: 2"), "app.yaml:4" + opt + `autopurge: "2" is not a boolean: 1, 0, true, false, yes or no`},
		"probability":         {options("autopurge_probability: 1.1"), "app.yaml:4" + opt + `autopurge_probability: "1.1" is out of range: from 0 to 1`},
		"probability -":       {options("autopurge_probability: -0.1"), "app.yaml:4" + opt + `autopurge_probability: "-0.1" is out of range: from 0 to 1`},
		"probability NaN":     {options("autopurge_probability: .nan"), "app.yaml:4" + opt + `autopurge_probability: ".nan" is not a number`},
		"timeout 0":           {options("timeout: 0"), "app.yaml:4" + opt + `timeout: "0" is out of range: at least 1`},
		"timeout -1":          {options("timeout: -1"), "app.yaml:4" + opt + `timeout: "-1" is out of range: at least 0`},
		"timeout none":        {options("timeout: none"), "app.yaml:4" + opt + `timeout: "none" is not a duration: a number of seconds, or such as "90s", "10m", "2h"`},
		"timeout fraction":    {options("timeout: 1.5"), "app.yaml:4" + opt + `timeout: "1.5" is out of range: whole seconds only`},
		"timeout too long":    {options("timeout: 2147483648"), "app.yaml:4" + opt + `timeout: "2147483648" is out of range: at most 2147483647 seconds`},
		"timeout huge":        {options("timeout: 99999999999"), "app.yaml:4" + opt + `timeout: "99999999999" is out of range: at most 292 years`},
		"grace fraction":      {options("purge_grace: 10ms"), "app.yaml:4" + opt + `purge_grace: "10ms" is out of range: whole seconds only`},
		"interval text":       {options("purge_interval: 1:30"), "app.yaml:4" + opt + `purge_interval: "1:30" is not a duration: a number of seconds, or such as "90s", "10m", "2h"`},
		"application of 256":  {options("application: " + strings.Repeat("ü", 256)), "app.yaml:4" + opt + `application: "` + strings.Repeat("ü", 64) + `"… has 256 characters, more than 255`},
		"NUL":                 {options(`table: "a\0b"`), "app.yaml:4" + opt + "table: contains a NUL character"},
		"on_connect map":      {options("on_connect: {a: b}"), "app.yaml:4" + opt + "on_connect: is a map, but takes a list of strings"},
		"on_connect nested":   {options("on_connect:", "- a", "- [b]", "-"), "app.yaml:6" + opt + "on_connect: an item is a list, but must be a string, number or boolean\napp.yaml:7" + opt + "on_connect: an item is null"},
		"on_connect blank":    {options("on_connect: [a, ' ']"), "app.yaml:4" + opt + "on_connect: statement 2 is empty"},
		"params list":         {options("params: [a]"), "app.yaml:4" + opt + "params: is a list, but takes a map of strings"},
		"params text":         {options("params: sslmode"), "app.yaml:4" + opt + "params: \"sslmode\" has no value: write name=value,name=value"},
		"params nested":       {options("params:", "  a: 1", "  b: [hunter2]"), "app.yaml:6" + opt + "params.b: is a list, but must be a string, number or boolean"},
		"params twice":        {options("params: {a: hunter2, a: hunter3}"), "app.yaml:4" + opt + "params.a: is given twice (line 4)"},
		"params name":         {options("params: {'a b': hunter2}"), "app.yaml:4" + opt + "params: \"a…\" is not a parameter's name: at most 128 letters, digits and _ . -"},
		"merge of a scalar":   {options("<<: x"), "app.yaml:4" + opt + "<<: merges what is not a map"},
		"merge of scalars":    {options("<<: [{port: 1}, x]"), "app.yaml:4" + opt + "<<: merges what is not a map"},
		"merged unknown":      {"b: &b\n  prot: 1\nsession: {store: {options: {<<: *b}}}", "app.yaml:2" + opt + `prot: unknown key; the nearest is "port"`},
		"session is a store":  {"session: &s\n  store: *s", `app.yaml:2: session.store.store: unknown key; the nearest is "driver"`},
		"database is a DSN":   {options("database: postgres://u:hunter2@h/db"), "app.yaml:4" + opt + "database: looks like a DSN: that goes to config.DSN, or into the variable ENTSESSION_DSN"},
		"all at once, sorted": {options("port: 0", "tabel: x", "timeout: x", "on_connect: [[]]"), "app.yaml:4" + opt + `port: "0" is out of range: from 1 to 65535` + "\napp.yaml:5" + opt + `tabel: unknown key; the nearest is "table"` + "\napp.yaml:6" + opt + `timeout: "x" is not a duration: a number of seconds, or such as "90s", "10m", "2h"` + "\napp.yaml:7" + opt + "on_connect: an item is a list, but must be a string, number or boolean"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, err := config.Parse("app.yaml", []byte(test.yaml))
			require.EqualError(t, err, test.want)
			require.Equal(t, entsession.Config{}, cfg)
		})
	}
}

// Whatever is wrong with a password, or around it, its text does not get out.
func TestParseKeepsPassword(t *testing.T) {
	t.Parallel()
	for yaml, want := range map[string]string{
		options("database: x", "password: *hunter2"):        "app.yaml:5: a value begins with *, which refers to an anchor that is not there: quote it",
		options("password: !hunter2"):                       "app.yaml:4" + opt + "password: begins with !, which makes it a YAML tag: quote it",
		options("password: @hunter2"):                       "app.yaml:4: is not YAML: found character that cannot start any token",
		options("password: hunter2: x"):                     "app.yaml:4: is not YAML: mapping values are not allowed in this context",
		options("password: [hunter2]"):                      "app.yaml:4" + opt + "password: is a list, but takes one value",
		options("password: {hunter2: hunter2}"):             "app.yaml:4" + opt + "password: is a map, but takes one value",
		options(`password: "hunter2\0"`):                    "app.yaml:4" + opt + "password: contains a NUL character",
		options("pasword: hunter2"):                         "app.yaml:4" + opt + `pasword: unknown key; the nearest is "password"`,
		options("password: hunter2", "password: hunter2"):   "app.yaml:5" + opt + "password: is given twice (line 4)",
		"session: {store: {options: {password:hunter2}}}":   "app.yaml:1" + opt + `password…: unknown key; the nearest is "password"`,
		"session: {store: {options: {'password hunter2'}}}": "app.yaml:1" + opt + `password…: unknown key; the nearest is "password"`,
		options("params: password hunter2"):                 "app.yaml:4" + opt + "params: \"password…\" has no value: write name=value,name=value",
		options("params: {sslpassword: !hunter2 }"):         "app.yaml:4" + opt + "params.sslpassword: begins with !, which makes it a YAML tag: quote it",
	} {
		_, err := config.Parse("app.yaml", []byte(yaml))
		require.EqualError(t, err, want, yaml)
		require.NotContains(t, err.Error(), "hunter2")
	}
}

func TestParseManyProblems(t *testing.T) {
	t.Parallel()
	_, err := config.Parse("app.yaml", []byte(options(strings.Repeat("a: 1\n      ", 1000))))
	require.Error(t, err)
	lines := strings.Split(err.Error(), "\n")
	require.Len(t, lines, 101)
	require.Equal(t, "and 900 more problems", lines[100])
}

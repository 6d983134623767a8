package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/internal/dbtest"
)

// yaml writes a configuration for the database.
func (d *database) yaml(t *testing.T, options string) string {
	t.Helper()
	text := fmt.Sprintf("session:\n  store:\n    driver: %s\n    options:\n      database: %s\n", d.Kind.Dialect, d.Name+d.File)
	if d.Kind.Dialect != dbtest.SQLite {
		text += fmt.Sprintf("      username: %s\n      password: %s\n      hostname: %s\n      port: %d\n", d.User, d.Password, d.Host, d.Port)
	}
	return write(t, text+options)
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "app.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestConfigCheck(t *testing.T) {
	each(t, func(t *testing.T, d *database) {
		file := d.yaml(t, "      table: visits\n      application: shop\n      on_connect: [\"SELECT 1\"]\n")
		check := func(args ...string) result {
			r := run(t, append([]string{"config", "check", "--config", file}, args...)...)
			d.spill(t, r)
			return r
		}
		offline := decode[checkJSON](t, check("--offline", "--json"))
		require.Equal(t, file, offline.Source)
		require.Nil(t, offline.Database)
		require.Contains(t, offline.Settings, settingJSON{Name: "table", Value: "visits"})
		require.Contains(t, offline.Settings, settingJSON{Name: "expiration_timeout", Value: "1800", Default: true})
		hasPassword := false
		for _, s := range offline.Settings {
			hasPassword = hasPassword || s.Name == "password" && s.Value == "***"
		}
		require.Equal(t, d.Kind.Dialect != dbtest.SQLite, hasPassword)

		want, says := exitTable, "table visits does not exist: `entsession migrate apply` makes it"
		if d.Kind.Dialect == dbtest.SQLite {
			want, says = exitUnreachable, "does not exist: `entsession migrate apply` makes it"
		}
		check().fails(t, want, says)
		run(t, "migrate", "apply", "--config", file).ok(t)
		ready := decode[checkJSON](t, check("--json"))
		require.Equal(t, tableJSON{Name: "visits", Exists: true, Ready: true, UpToDate: true, Columns: []string{"subject"}, Message: "table visits is up to date"}, *ready.Table)
		require.NotEmpty(t, ready.Database.Version)
		human := check().ok(t)
		require.Regexp(t, `(?m)^table +visits$`, human)
		require.Regexp(t, `(?m)^purge_batch +500 +\(default\)$`, human)
		require.Contains(t, human, "\ntable visits is up to date\n")
		if d.Kind.Dialect == dbtest.Postgres {
			require.Contains(t, human, "database: PostgreSQL "+strings.TrimPrefix(d.Kind.Name, "postgres"))
		}

		// A flag goes before the file.
		check("--table", "another", "--quiet").fails(t, exitTable, "table another does not exist")
	})
}

func TestBadConfig(t *testing.T) {
	t.Parallel()
	file := write(t, "session:\n  store:\n    driver: sqlite\n    options:\n      tabel: x\n      database: s.db\n      port: 70000\n      password: hunter2hunter2\n")
	r := run(t, "list", "--config", file)
	require.Equal(t, exitUsage, r.code)
	lines := strings.Split(strings.TrimSuffix(r.err, "\n"), "\n")
	require.Len(t, lines, 2, r.err)
	require.Contains(t, lines[0], "entsession: "+file+":5: session.store.options.tabel: unknown key; the nearest is \"table\"")
	require.Contains(t, lines[1], "entsession: "+file+":7: session.store.options.port: \"70000\" is out of range")
	require.NotContains(t, r.err, "hunter2")

	asJSON := run(t, "list", "--config", file, "--json")
	var out struct {
		Error    string `json:"error"`
		ExitCode int    `json:"exit_code"`
	}
	require.NoError(t, json.Unmarshal([]byte(asJSON.err), &out))
	require.Equal(t, exitUsage, out.ExitCode)
	require.Equal(t, strings.ReplaceAll(strings.Join(lines, "\n"), "entsession: ", ""), out.Error)
	require.Empty(t, asJSON.out)

	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"no file":       {[]string{"--config", "/nowhere.yaml"}, "/nowhere.yaml: no such file"},
		"no database":   {[]string{"--config", write(t, "session:\n  store:\n    driver: sqlite\n")}, "session.store.options.database is missing in"},
		"DSN without":   {[]string{"--dsn", "postgres://h/"}, "--dsn names no database"},
		"unknown":       {[]string{"--dsn", "oracle://h/d"}, `"oracle" is not a database`},
		"table":         {[]string{"--dsn", "sqlite:s.db", "--table", "a;b"}, `Table: table "a;b": name has the character ';'`},
		"empty table":   {[]string{"--dsn", "sqlite:s.db", "--table", ""}, "--table is empty"},
		"driver option": {[]string{"--dsn", "postgres://h/d?sslmode=sometimes"}, "sslmode is invalid"},
		"charset":       {[]string{"--dsn", "postgres://h/d?charset=latin1"}, "charset"},
	} {
		run(t, append([]string{"config", "check", "--offline"}, c.args...)...).fails(t, exitUsage, c.says)
		require.NotEmpty(t, name)
	}
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "a.db")
	env := []string{"ENTSESSION_DATABASE=" + file, "ENTSESSION_DRIVER=sqlite", "ENTSESSION_TABLE=visits"}
	require.Equal(t, "table visits is up to date\n", tail(exit(t, process(t, env, "migrate", "apply")).ok(t)))
	require.Equal(t, "nothing to do: table visits is up to date\n", exit(t, process(t, env, "migrate", "apply")).ok(t))
	exit(t, process(t, env, "migrate", "status", "--check", "--table", "other")).fails(t, exitTable, "table other")

	// A flag leaves the environment unread, also what is wrong there.
	wrong := append(env, "ENTSESSION_TABEL=x")
	exit(t, process(t, wrong, "list")).fails(t, exitUsage, `ENTSESSION_TABEL: unknown variable; the nearest is "ENTSESSION_TABLE"`)
	require.Empty(t, exit(t, process(t, wrong, "list", "--dsn", "sqlite:"+file+"?table=visits")).ok(t))
	exit(t, process(t, nil, "list")).fails(t, exitUsage, "which database?")
}

func tail(text string) string {
	lines := strings.SplitAfter(strings.TrimSuffix(text, "\n"), "\n")
	return lines[len(lines)-1] + "\n"
}

// TestSettings fails when the connector learns of a setting that is not handed to it here.
func TestSettings(t *testing.T) {
	t.Parallel()
	s := reflect.ValueOf(settings(entsession.Config{
		Database: "d", Username: "u", Password: "p", Hostname: "h", Port: 1, Charset: "c", Params: map[string]string{"k": "v"},
		OnConnect: []string{"s"}, ConnectionCheckThreshold: time.Second,
	}))
	for i := range s.NumField() {
		require.False(t, s.Field(i).IsZero(), s.Type().Field(i).Name)
	}
}

func TestConfigurationHelp(t *testing.T) {
	t.Parallel()
	help := run(t, "help", "configuration").ok(t)
	for _, line := range []string{"  expiration_timeout, or timeout\n", "      database: test            # required", "ENTSESSION_DSN"} {
		require.Contains(t, help, line)
	}
	for line := range strings.Lines(help) {
		require.LessOrEqual(t, len(line), 125) // of the example
		require.Equal(t, strings.TrimRight(line, " \n")+"\n", line)
	}
}

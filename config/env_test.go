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

// These tests set the environment, so none of them is parallel.

// setenv sets variables, each NAME=value, behind the default prefix.
func setenv(t *testing.T, variables ...string) {
	t.Helper()
	for _, v := range os.Environ() { // none that the machine has, such as ENTSESSION_REQUIRE_SERVERS
		if name, value, _ := strings.Cut(v, "="); strings.HasPrefix(name, "ENTSESSION_") {
			t.Setenv(name, value) // so that it comes back
			require.NoError(t, os.Unsetenv(name))
		}
	}
	for _, v := range variables {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv("ENTSESSION_"+name, value)
	}
}

func TestEnv(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	file := write("app.yaml", options("database: x", "port: 1", "timeout: 60", "password_file: /nowhere", "params: {a: b}"))
	secret := write("secret", " hunter2 \n")
	for name, test := range map[string]struct {
		variables []string
		want      entsession.Config
	}{
		"nothing": {nil, entsession.Config{}},
		"options": {[]string{"DRIVER=A::SQLite", "DATABASE=x.db", "APPLICATION=shop", "AUTOPURGE_PROBABILITY=0", "TIMEOUT=1h", "HASH_IDS=no"},
			entsession.Config{Driver: "sqlite", Database: "x.db", Application: "shop", AutopurgeProbability: -1, ExpirationTimeout: time.Hour, PlainIDs: true}},
		"empty is absent": {[]string{"PORT=", "DATABASE=x", "TABEL="}, entsession.Config{Database: "x"}},
		"DSN overridden": {[]string{"DSN=postgres://u:p@h:1/x?table=t&a=b", "PORT=2", "PASSWORD=q"},
			entsession.Config{Driver: "postgres", Username: "u", Password: "q", Hostname: "h", Port: 2, Database: "x", Table: "t", Params: map[string]string{"a": "b"}}},
		"file overridden": {[]string{"CONFIG=" + file, "EXPIRATION_TIMEOUT=70", "PASSWORD=q", "PARAMS=c=d", "PURGE_INTERVAL=none"},
			entsession.Config{Database: "x", Port: 1, Password: "q", ExpirationTimeout: 70 * time.Second, Params: map[string]string{"c": "d"}, PurgeInterval: -time.Second}},
		"back to the default": {[]string{"DSN=postgres://h/x?autopurge=0&max_lifetime=60", "AUTOPURGE=1", "MAX_LIFETIME=none"},
			entsession.Config{Driver: "postgres", Hostname: "h", Database: "x"}},
		"statement":         {[]string{"ON_CONNECT=SET a = 'b, c'"}, entsession.Config{OnConnect: []string{"SET a = 'b, c'"}}},
		"statements":        {[]string{`ON_CONNECT= ["A", "B"] `}, entsession.Config{OnConnect: []string{"A", "B"}}},
		"params":            {[]string{"PARAMS=a=b,c=d=e"}, entsession.Config{Params: map[string]string{"a": "b", "c": "d=e"}}},
		"params JSON":       {[]string{`PARAMS={"a": true, "b": "c,d"}`}, entsession.Config{Params: map[string]string{"a": "true", "b": "c,d"}}},
		"password file":     {[]string{"PASSWORD_FILE=" + secret}, entsession.Config{Password: " hunter2 "}},
		"password variable": {[]string{"PASSWORD_ENV=ENTSESSION_TEST_PASSWORD", "TEST_PASSWORD=hunter2"}, entsession.Config{Password: "hunter2"}},
		"the tests' own":    {[]string{"TEST_X=1", "REQUIRE_SERVERS=1", "PG_DIR=/x", "DBTEST_CHILD=1"}, entsession.Config{}},
	} {
		t.Run(name, func(t *testing.T) {
			setenv(t, test.variables...)
			cfg, err := config.Env("")
			require.NoError(t, err)
			require.Equal(t, test.want, cfg)
		})
	}
}

func TestEnvPrefix(t *testing.T) {
	setenv(t, "PORT=x")
	t.Setenv("SHOP_SESSION_PORT", "5")
	for _, prefix := range []string{"SHOP_SESSION", "SHOP_SESSION_"} {
		cfg, err := config.Env(prefix)
		require.NoError(t, err)
		require.Equal(t, entsession.Config{Port: 5}, cfg)
	}
	t.Setenv("SHOP_SESSION_PG_DIR", "hunter2")
	_, err := config.Env("SHOP_SESSION")
	require.EqualError(t, err, `SHOP_SESSION_PG_DIR: unknown variable; the nearest is "SHOP_SESSION_DRIVER"`)
}

func TestEnvErrors(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "app.yaml")
	require.NoError(t, os.WriteFile(file, []byte(options("port: x")), 0o600))
	empty := filepath.Join(dir, "empty")
	require.NoError(t, os.WriteFile(empty, []byte("\r\n"), 0o600))
	zero := filepath.Join(dir, "zero")
	require.NoError(t, os.WriteFile(zero, []byte("hunter2\x00"), 0o600))
	for name, test := range map[string]struct {
		variables []string
		want      string
	}{
		"unknown":          {[]string{"TABEL=hunter2", "PASSWROD=hunter2"}, "ENTSESSION_PASSWROD: unknown variable; the nearest is \"ENTSESSION_PASSWORD\"\nENTSESSION_TABEL: unknown variable; the nearest is \"ENTSESSION_TABLE\""},
		"lower case":       {[]string{"port=1"}, `ENTSESSION_port: unknown variable; the nearest is "ENTSESSION_PORT"`},
		"unknown file":     {[]string{"CONFIG_FILE=x"}, `ENTSESSION_CONFIG_FILE: unknown variable; the nearest is "ENTSESSION_CONFIG"`},
		"value":            {[]string{"PORT=x"}, `ENTSESSION_PORT: "x" is not a whole number`},
		"alias":            {[]string{"TIMEOUT=1", "EXPIRATION_TIMEOUT=1"}, "ENTSESSION_TIMEOUT: excludes ENTSESSION_EXPIRATION_TIMEOUT: keep one of them"},
		"two passwords":    {[]string{"PASSWORD=hunter2", "PASSWORD_FILE=x"}, "ENTSESSION_PASSWORD_FILE: excludes ENTSESSION_PASSWORD: keep one of them"},
		"two bases":        {[]string{"DSN=postgres://h", "CONFIG=x"}, "ENTSESSION_DSN: excludes ENTSESSION_CONFIG: keep one of them"},
		"base and more":    {[]string{"CONFIG=" + file, "PORT=y"}, file + `:4: session.store.options.port: "x" is not a whole number` + "\n" + `ENTSESSION_PORT: "y" is not a whole number`},
		"base DSN":         {[]string{"DSN=postgres://h?port=x"}, `ENTSESSION_DSN: port: "x" is not a whole number`},
		"no such base":     {[]string{"CONFIG=/nowhere/x"}, "reading the configuration: open /nowhere/x: no such file or directory"},
		"no password file": {[]string{"PASSWORD_FILE=/nowhere/x"}, "ENTSESSION_PASSWORD_FILE: reading the password: open /nowhere/x: no such file or directory"},
		"empty password":   {[]string{"PASSWORD_FILE=" + empty}, "ENTSESSION_PASSWORD_FILE: " + empty + " is empty"},
		"endless password": {[]string{"PASSWORD_FILE=/dev/zero"}, "ENTSESSION_PASSWORD_FILE: reading the password: /dev/zero has more than 65536 bytes"},
		"NUL in password":  {[]string{"PASSWORD_FILE=" + zero}, "ENTSESSION_PASSWORD_FILE: contains a NUL character"},
		"empty statement":  {[]string{"ON_CONNECT= "}, "ENTSESSION_ON_CONNECT: statement 1 is empty"},
		"bad statement":    {[]string{"ON_CONNECT=A\xff"}, "ENTSESSION_ON_CONNECT: statement 1 is not valid UTF-8"},
		"bad parameter":    {[]string{"PARAMS=a=hunter2\xff"}, "ENTSESSION_PARAMS: a is not valid UTF-8"},
		"no password":      {[]string{"PASSWORD_ENV=ENTSESSION_TEST_NONE"}, "ENTSESSION_PASSWORD_ENV: the environment variable ENTSESSION_TEST_NONE is not set, or is empty"},
		"statements":       {[]string{`ON_CONNECT=["A"`}, "ENTSESSION_ON_CONNECT: begins with [ but is not a list as in JSON"},
		"params":           {[]string{"PARAMS={a: }, b"}, "ENTSESSION_PARAMS: begins with { but is not a map as in JSON"},
		"params twice":     {[]string{"PARAMS=a=hunter2,a=b"}, "ENTSESSION_PARAMS: a is given twice"},
	} {
		t.Run(name, func(t *testing.T) {
			setenv(t, test.variables...)
			cfg, err := config.Env("")
			require.EqualError(t, err, test.want)
			require.NotContains(t, err.Error(), "hunter2")
			require.Equal(t, entsession.Config{}, cfg)
		})
	}
}

// In a file, a password that cannot be had is told with its line, in its place among the other problems.
func TestPasswordFileLine(t *testing.T) {
	t.Parallel()
	_, err := config.Parse("app.yaml", []byte(options("password_file: /nowhere/x", "port: 0")))
	require.ErrorIs(t, err, os.ErrNotExist)
	require.EqualError(t, err, "app.yaml:4"+opt+"password_file: reading the password: open /nowhere/x: no such file or directory\n"+
		"app.yaml:5"+opt+`port: "0" is out of range: from 1 to 65535`)
}

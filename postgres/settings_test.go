package postgres

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/internal/backend"
)

func TestDefaults(t *testing.T) {
	for _, name := range []string{"PGHOST", "PGPORT", "PGUSER", "PGAPPNAME", "PGCONNECT_TIMEOUT", "PGSSLMODE", "PGTARGETSESSIONATTRS"} {
		t.Setenv(name, "")
	}
	c, err := configure(backend.Settings{Database: "d"})
	require.NoError(t, err)
	require.Equal(t, "localhost", c.Host)
	require.EqualValues(t, 5432, c.Port)
	require.NotEmpty(t, c.User)
	require.Equal(t, 5*time.Second, c.ConnectTimeout)
	require.Equal(t, "entsession", c.RuntimeParams["application_name"])
	require.Equal(t, "UTF8", c.RuntimeParams["client_encoding"])
	require.NotNil(t, c.ValidateConnect, "a standby is refused")

	t.Setenv("PGPORT", "7777")
	t.Setenv("PGUSER", "from_env")
	t.Setenv("PGAPPNAME", "shop")
	t.Setenv("PGCONNECT_TIMEOUT", "3")
	c, err = configure(backend.Settings{Database: "d"})
	require.NoError(t, err)
	require.EqualValues(t, 7777, c.Port)
	require.Equal(t, "from_env", c.User)
	require.Equal(t, "shop", c.RuntimeParams["application_name"])
	require.Equal(t, 3*time.Second, c.ConnectTimeout)
}

func TestSettings(t *testing.T) {
	t.Parallel()
	c, err := configure(backend.Settings{
		Database: `it's a "database" \o/`, Username: `o'neill = x`, Password: `p'w`, Hostname: "::1", Port: 7, Charset: "utf-8",
		Params: map[string]string{
			"sslmode": "disable", "application_name": "shop", "connect_timeout": "0", "statement_timeout": "5s",
			"search_path": `a, "b c"`, "app.name": ``, "default_query_exec_mode": "exec", "target_session_attrs": "any",
		},
	})
	require.NoError(t, err)
	require.Equal(t, `it's a "database" \o/`, c.Database)
	require.Equal(t, `o'neill = x`, c.User)
	require.Equal(t, `p'w`, c.Password)
	require.NotContains(t, c.ConnString(), `p\'w`)
	require.Equal(t, "::1", c.Host)
	require.EqualValues(t, 7, c.Port)
	require.Empty(t, c.Fallbacks)
	require.Nil(t, c.TLSConfig)
	require.Zero(t, c.ConnectTimeout)
	require.Equal(t, pgx.QueryExecModeExec, c.DefaultQueryExecMode)
	require.Equal(t, map[string]string{
		"application_name": "shop", "statement_timeout": "5s", "search_path": `a, "b c"`, "app.name": "", "client_encoding": "UTF8",
	}, c.RuntimeParams)
}

func TestHosts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		hostname     string
		port         int
		hosts, ports string
	}{
		{"", 0, "localhost", ""},
		{"db1", 0, "db1", ""},
		{"db1", 5433, "db1", "5433"},
		{"db1,db2", 5433, "db1,db2", "5433"},
		{"db1, db2 ", 0, "db1,db2", ""},
		{"db1:1,db2", 5433, "db1,db2", "1,5433"},
		{"db1:1,db2:2", 0, "db1,db2", "1,2"},
		{"db1,db2:2", 0, "db1,db2", ",2"},
		{"::1", 0, "::1", ""},
		{"[::1]:5433,[fe80::1%eth0]", 0, "::1,fe80::1%eth0", "5433,"},
		{"/run/pg:1", 5433, "/run/pg:1", "5433"},
		{"/run/pg,db2", 5433, "/run/pg,db2", "5433"},
	} {
		hosts, ports, err := hostsAndPorts(c.hostname, c.port)
		require.NoError(t, err, c.hostname)
		require.Equal(t, c.hosts, hosts, c.hostname)
		require.Equal(t, c.ports, ports, c.hostname)
	}
}

func TestNoStandby(t *testing.T) {
	t.Setenv("PGTARGETSESSIONATTRS", "")
	c, err := configure(backend.Settings{Database: "d", Hostname: "db1:1,db2:2"})
	require.NoError(t, err)
	require.NotNil(t, c.ValidateConnect)
	require.Contains(t, target(c), `at db1:1, db2:2 as`)
	c, err = configure(backend.Settings{Database: "d", Hostname: "db1,db2", Params: map[string]string{"target_session_attrs": "any"}})
	require.NoError(t, err)
	require.Nil(t, c.ValidateConnect)
	c, err = configure(backend.Settings{Database: "d", Hostname: "db1", Params: map[string]string{"target_session_attrs": "any"}})
	require.NoError(t, err)
	require.Nil(t, c.ValidateConnect)
	t.Setenv("PGTARGETSESSIONATTRS", "any")
	c, err = configure(backend.Settings{Database: "d", Hostname: "db1,db2"})
	require.NoError(t, err)
	require.Nil(t, c.ValidateConnect)
}

func TestBadSettings(t *testing.T) {
	t.Parallel()
	param := func(name, value string) backend.Settings {
		return backend.Settings{Params: map[string]string{name: value, "sslpassword": `hun'ter2 `}}
	}
	for want, s := range map[string]backend.Settings{
		`charset: "latin1" is not UTF-8`:                          {Charset: "latin1"},
		`port: 65536 is not between`:                              {Port: 65536},
		`port: -1 is not between`:                                 {Port: -1},
		`hostname: "a,,b" has an empty element`:                   {Hostname: "a,,b"},
		`hostname: "a:b" has no valid port`:                       {Hostname: "a:b"},
		`hostname: "a:0" has no valid port`:                       {Hostname: "a:0"},
		`hostname: holds a NUL`:                                   {Hostname: "a\x00b"},
		`database: holds a NUL`:                                   {Database: "a\x00b"},
		`username: holds a NUL`:                                   {Username: "a\x00b"},
		`password: holds a NUL`:                                   {Password: "hunter2\x00"},
		`params: "host" is set by the option hostname`:            param("host", "x"),
		`params: "password" is set by the option password`:        param("password", "hunter2"),
		`params: "dbname" is set by the option database`:          param("dbname", "x"),
		`params: "client_encoding" is set by the option charset`:  param("client_encoding", "UTF8"),
		`params: "a b" is no parameter's name`:                    param("a b", "x"),
		`params: "" is no parameter's name`:                       param("", "x"),
		`params: holds a NUL`:                                     param("options", "\x00"),
		`sslmode is invalid`:                                      param("sslmode", "sometimes"),
		`invalid connect_timeout`:                                 param("connect_timeout", "soon"),
		`unknown target_session_attrs value`:                      param("target_session_attrs", "odd"),
		`unknown value "fast"`:                                    param("default_query_exec_mode", "fast"),
		`unable to read CA file: open /nowhere`:                   param("sslrootcert", "/nowhere"),
		`failed to read service`:                                  param("service", "x"),
		`both "sslcert" and "sslkey" are required`:                param("sslcert", "x"),
		`failed to configure TLS (unable to read sslkey: open /x`: {Params: map[string]string{"sslcert": "/x", "sslkey": "/x", "sslpassword": "hun'ter2"}},
	} {
		s.Password += "hunter2"
		_, err := Connector(s)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "ter2")
		require.NotContains(t, err.Error(), "\n")
	}
}

package mysql

import (
	"os/user"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/internal/backend"
)

func TestDefaults(t *testing.T) {
	t.Parallel()
	c, err := configure(backend.Settings{Database: "d"})
	require.NoError(t, err)
	me, err := user.Current()
	require.NoError(t, err)
	require.Equal(t, me.Username, c.User)
	require.Equal(t, "tcp", c.Net)
	require.Equal(t, "localhost:3306", c.Addr)
	require.Equal(t, "d", c.DBName)
	require.Equal(t, 5*time.Second, c.Timeout)
	require.Equal(t, time.UTC, c.Loc)
	require.True(t, c.InterpolateParams && c.ClientFoundRows && c.ParseTime && c.CheckConnLiveness)
	require.False(t, c.MultiStatements || c.AllowAllFiles)
	require.IsType(t, &mysql.NopLogger{}, c.Logger)
	require.Contains(t, c.FormatDSN(), "charset=utf8mb4&")
	require.Equal(t, map[string]string{"sql_mode": strict}, c.Params)
}

func TestSettings(t *testing.T) {
	t.Parallel()
	c, err := configure(backend.Settings{
		Database: `a/b?c%d&e`, Username: `o:neill@x/`, Password: `p:w@(/?&%41`, Hostname: "db.example", Port: 7, Charset: "latin1",
		Params: map[string]string{
			"tls": "true", "multiStatements": "true", "interpolateParams": "false", "timeout": "1m", "loc": "Europe/Berlin",
			"wait_timeout": "600", "sql_mode": "'ANSI,STRICT_ALL_TABLES'", "time_zone": "'+00:00'", "collation": "latin1_bin",
		},
	})
	require.NoError(t, err)
	require.Equal(t, `a/b?c%d&e`, c.DBName)
	require.Equal(t, `o:neill@x/`, c.User)
	require.Equal(t, `p:w@(/?&%41`, c.Passwd)
	require.Equal(t, "db.example:7", c.Addr)
	require.True(t, c.MultiStatements)
	require.False(t, c.InterpolateParams)
	require.Equal(t, time.Minute, c.Timeout)
	require.Equal(t, "Europe/Berlin", c.Loc.String())
	require.Contains(t, c.FormatDSN(), "charset=latin1&collation=latin1_bin&")
	require.Equal(t, map[string]string{"wait_timeout": "600", "sql_mode": "'ANSI,STRICT_ALL_TABLES'", "time_zone": "'+00:00'"}, c.Params)

	inner, err := mysql.NewConnector(c)
	require.NoError(t, err)
	require.NotNil(t, inner)
	require.Nil(t, c.TLS, "the driver makes it for the address that it connects to")
	require.Equal(t, "true", c.TLSConfig)
}

func TestAddress(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		hostname      string
		port          int
		network, addr string
	}{
		{"", 0, "tcp", "localhost:3306"},
		{"db", 0, "tcp", "db:3306"},
		{"db", 7, "tcp", "db:7"},
		{"db:7", 0, "tcp", "db:7"},
		{"db:7", 7, "tcp", "db:7"},
		{"::1", 0, "tcp", "[::1]:3306"},
		{"[::1]", 0, "tcp", "[::1]:3306"},
		{"[::1]:7", 0, "tcp", "[::1]:7"},
		{"/run/my@sql (1)/sock", 3306, "unix", "/run/my@sql (1)/sock"},
	} {
		network, addr, err := address(c.hostname, c.port)
		require.NoError(t, err, c.hostname)
		require.Equal(t, c.network, network, c.hostname)
		require.Equal(t, c.addr, addr, c.hostname)
	}
}

func TestBadSettings(t *testing.T) {
	t.Parallel()
	param := func(name, value string) backend.Settings {
		return backend.Settings{Params: map[string]string{name: value}}
	}
	for want, s := range map[string]backend.Settings{
		`charset: "gbk" is not safe`:                            {Charset: "gbk"},
		`charset: "utf8; DROP" is no character set's name`:      {Charset: "utf8; DROP"},
		`port: 65536 is not between`:                            {Port: 65536},
		`port: -1 is not between`:                               {Port: -1},
		`hostname: "a:b" has a port that is not valid`:          {Hostname: "a:b"},
		`hostname: "a:7" has a port that is not valid, or not`:  {Hostname: "a:7", Port: 8},
		`hostname: "a,b" is several hosts`:                      {Hostname: "a,b"},
		`params: "charset" is set by the option charset`:        param("charset", "utf8"),
		`params: "strict" is no longer known`:                   param("strict", "true"),
		`params: "clientFoundRows" must stay on`:                param("clientFoundRows", "false"),
		`params: "parseTime": invalid bool value: maybe`:        param("parseTime", "maybe"),
		`params: "timeout": time: invalid duration`:             param("timeout", "soon"),
		`params: "loc": unknown time zone Nowhere`:              param("loc", "Nowhere"),
		`params: "tls": invalid value / unknown config name: x`: param("tls", "x"),
		`params: "maxAllowedPacket": strconv`:                   param("maxAllowedPacket", "x"),
		`params: "collation": "a b" is no collation's name`:     param("collation", "a b"),
		`params: "a b" is no parameter's name`:                  param("a b", "x"),
		`params: "" is no parameter's name`:                     param("", "x"),
		`interpolateParams can not be used with unsafe`:         param("collation", "gbk_chinese_ci"),
	} {
		s.Password = "hunter2"
		_, err := Connector(s)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "hunter2")
	}
}

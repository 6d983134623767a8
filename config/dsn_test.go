package config_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/config"
)

func TestDSN(t *testing.T) {
	t.Parallel()
	for dsn, want := range map[string]entsession.Config{
		"postgres://user:pass@host:5432/db?sslmode=disable&table=app.sessions&expiration_timeout=3600": {
			Driver: "postgres", Username: "user", Password: "pass", Hostname: "host", Port: 5432, Database: "db",
			Table: "app.sessions", ExpirationTimeout: time.Hour, Params: map[string]string{"sslmode": "disable"}},
		"postgresql://h/db":                                 {Driver: "postgres", Hostname: "h", Database: "db"},
		"PG://h/db":                                         {Driver: "postgres", Hostname: "h", Database: "db"},
		"postgres:///db":                                    {Driver: "postgres", Database: "db"},
		"postgres://":                                       {Driver: "postgres"},
		"postgres://?database=db":                           {Driver: "postgres", Database: "db"},
		"postgres://h/?dbname=db":                           {Driver: "postgres", Hostname: "h", Database: "db"},
		"postgres://u@/db?host=/var/run/postgresql":         {Driver: "postgres", Username: "u", Hostname: "/var/run/postgresql", Database: "db"},
		"postgres://u@%2Fvar%2Frun%2Fpostgresql:5433/db":    {Driver: "postgres", Username: "u", Hostname: "/var/run/postgresql", Port: 5433, Database: "db"},
		"postgres://[::1]:5433/db":                          {Driver: "postgres", Hostname: "::1", Port: 5433, Database: "db"},
		"postgres://[fe80::1%25eth0]/db":                    {Driver: "postgres", Hostname: "fe80::1%eth0", Database: "db"},
		"postgres://a,b/db":                                 {Driver: "postgres", Hostname: "a,b", Database: "db"},
		"postgres://a:7,[::1]:7/db":                         {Driver: "postgres", Hostname: "a,::1", Port: 7, Database: "db"},
		"postgres://u:p%40s%2Fs%3A%25%23%3F+@h/d%2Fb":       {Driver: "postgres", Username: "u", Password: "p@s/s:%#?+", Hostname: "h", Database: "d/b"},
		"postgres://u:p@s:s@h/db":                           {Driver: "postgres", Username: "u", Password: "p@s:s", Hostname: "h", Database: "db"},
		"postgres://u:@h/db":                                {Driver: "postgres", Username: "u", Hostname: "h", Database: "db"},
		"postgres://h/db?user=u&password=p%26q":             {Driver: "postgres", Hostname: "h", Username: "u", Password: "p&q", Database: "db"},
		"postgres://h/db?timeout=60":                        {Driver: "postgres", Hostname: "h", Database: "db", ExpirationTimeout: time.Minute},
		"postgres://h/db?application=me%40shop&&port=":      {Driver: "postgres", Hostname: "h", Database: "db", Application: "me@shop"},
		"postgres://h/db?on_connect=SET+a%3D1&on_connect=B": {Driver: "postgres", Hostname: "h", Database: "db", OnConnect: []string{"SET a=1", "B"}},
		`postgres://h/db?on_connect=["A",'B']`:              {Driver: "postgres", Hostname: "h", Database: "db", OnConnect: []string{"A", "B"}},
		"postgres://h/db?params=port%3D1,b%3D2&c=3&app.x":   {Driver: "postgres", Hostname: "h", Database: "db", Params: map[string]string{"port": "1", "b": "2", "c": "3", "app.x": ""}},
		"postgres://h/db?dsn_extra={a:+1}":                  {Driver: "postgres", Hostname: "h", Database: "db", Params: map[string]string{"a": "1"}},
		"mysql://user:pass@host:3306/db?tls=true":           {Driver: "mysql", Username: "user", Password: "pass", Hostname: "host", Port: 3306, Database: "db", Params: map[string]string{"tls": "true"}},
		"mariadb://user@/db?socket=/run/mysqld/mysqld.sock": {Driver: "mysql", Username: "user", Hostname: "/run/mysqld/mysqld.sock", Database: "db"},
		"mysql://h/db?timeout=5s&expiration_timeout=60":     {Driver: "mysql", Hostname: "h", Database: "db", ExpirationTimeout: time.Minute, Params: map[string]string{"timeout": "5s"}},
		"sqlite:relative.db?autopurge=0":                    {Driver: "sqlite", Database: "relative.db", DisableAutopurge: true},
		"sqlite:../a%3Fb.db":                                {Driver: "sqlite", Database: "../a?b.db"},
		"sqlite:a@b/c d.db":                                 {Driver: "sqlite", Database: "a@b/c d.db"},
		"sqlite3:///abs/path.db?_txlock=immediate":          {Driver: "sqlite", Database: "/abs/path.db", Params: map[string]string{"_txlock": "immediate"}},
		"sqlite:/abs/path.db":                               {Driver: "sqlite", Database: "/abs/path.db"},
		"sqlite::memory:":                                   {Driver: "sqlite", Database: ":memory:"},
		"sqlite:":                                           {Driver: "sqlite"},
	} {
		cfg, err := config.DSN(dsn)
		require.NoError(t, err, dsn)
		require.Equal(t, want, cfg, dsn)
	}
}

// The errors are exact, and tell nothing that may be part of the password: hunter2.
func TestDSNErrors(t *testing.T) {
	t.Parallel()
	const (
		form   = "DSN: is not of the form driver://user:password@host:port/database?option=value, or sqlite:file"
		at     = "DSN: has an @ behind the host: percent-encode what is special, @ as %40, / as %2F, ? as %3F"
		port   = "DSN: the port is not a number from 1 to 65535; what is special in a password is percent-encoded"
		hash   = "DSN: has a #: percent-encode it as %23"
		escape = "DSN: has a % that no two hexadecimal digits follow: percent-encode it as %25"
	)
	for dsn, want := range map[string]string{
		"":                                          form,
		"hunter2":                                   form,
		"host=h password=hunter2":                   form,
		"user:hunter2@tcp(h:3306)/db":               form,
		":hunter2@h":                                form,
		"postgres:user:hunter2@h/db":                form,
		"postgres://u:hunter2@[::1/db":              form,
		"postgres://u:hunter2@[::1]x/db":            form,
		"postgress://u:hunter2@h/db":                `DSN: "postgress" is not a database; the nearest is "postgres"`,
		"file:///hunter2":                           `DSN: "file" is not a database; the nearest is "sqlite"`,
		"postgres://u:p/hunter2@h/db":               at,
		"postgres://u:p?hunter2@h/db":               at,
		"postgres://u:5?port=hunter2@h/db":          at,
		"postgres://u:@/hunter2@h/db":               at,
		"postgres://u:p#hunter2@h/db":               hash,
		"sqlite:a#b":                                hash,
		"postgres://u:hunter2/db":                   port,
		"postgres://u:hunter2":                      port,
		"postgres://h:0/db":                         port,
		"postgres://h:65536/db":                     port,
		"postgres://h:1:2/db":                       port,
		"mysql://u:hunter2@tcp(h:3306)/db":          port,
		"postgres://u:hunter2%zz@h/db":              escape,
		"postgres://h/%":                            escape,
		"postgres://h/db?password=hunter2%z":        escape,
		"postgres://h/db?%z":                        escape,
		"postgres://u:hunter2\n@h/db":               "DSN: has a line break or NUL character",
		"postgres://h:1,i:2/db":                     "DSN: the hosts have different ports: only one port for all of them is possible",
		"postgres://h,i:2/db":                       "DSN: the hosts have different ports: only one port for all of them is possible",
		"postgres://h/a/b":                          "DSN: the database's name has a /: percent-encode it as %2F",
		"sqlite://relative.db":                      "DSN: an SQLite file has no host: write sqlite:relative.db or sqlite:///absolute/path.db",
		"postgres://h/db?a%20hunter2=1":             `DSN: the query's "a…" is not a parameter's name: percent-encode what is special`,
		"postgres://h/db?host=i":                    "DSN: host: excludes hostname: keep one of them",
		"postgres://h/db?hostname=i":                "DSN: hostname: is given twice",
		"postgres://u:hunter2@h/db?password_file=f": "DSN: password_file: excludes password: keep one of them",
		"postgres://h/db?driver=mysql":              "DSN: driver: is given twice",
		"postgres://h/db?port=x":                    `DSN: port: "x" is not a whole number`,
		"postgres://h/db?port=1&port=2":             "DSN: port: is given twice",
		"postgres://h/db?timeout=0&table=%00":       "DSN: timeout: \"0\" is out of range: at least 1\nDSN: table: contains a NUL character",
		"postgres://h/db?table=%ff":                 "DSN: table: is not valid UTF-8",
		"postgres://u:hunter2%00@h/db":              "DSN: password: contains a NUL character",
		"postgres://h/db?a=1&a=hunter2":             "DSN: params: a is given twice",
		"postgres://h/db?params=hunter2":            `DSN: params: "hunter2" has no value: write name=value,name=value`,
		"postgres://h/db?on_connect=[":              "DSN: on_connect: begins with [ but is not a list as in JSON",
		"postgres://h/db?params={a:+[hunter2]}":     "DSN: params: a: is a list, but must be a string, number or boolean",
		"postgres://h/db?hostname=a://b":            "DSN: hostname: is given twice",
		"postgres:///db?hostname=a://b":             "DSN: hostname: looks like a DSN: that goes to config.DSN, or into the variable ENTSESSION_DSN",
	} {
		cfg, err := config.DSN(dsn)
		require.EqualError(t, err, want, dsn)
		require.Equal(t, entsession.Config{}, cfg)
		if dsn != "postgres://h/db?params=hunter2" { // a name there
			require.NotContains(t, err.Error(), "hunter2", dsn)
		}
	}
}

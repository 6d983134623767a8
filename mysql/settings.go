package mysql

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os/user"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/entsession/entsession/internal/backend"
)

const timeout = 5 * time.Second

// strict adds to the server's sql_mode what makes a value that does not fit an error, for every storage engine.
const strict = "CONCAT_WS(',', NULLIF(@@sql_mode, ''), 'STRICT_ALL_TABLES')"

var (
	parameter = regexp.MustCompile(`^[A-Za-z0-9_.@]+$`)
	word      = regexp.MustCompile(`^[A-Za-z0-9_]+$`)
)

// unsafe are the charsets in which a part of a character may look like a quote: the driver, which puts the arguments
// into the statement, could be led to end a text too early. It refuses the collations of the same name.
var unsafe = []string{"big5", "cp932", "gb18030", "gb2312", "gbk", "sjis"}

// configure makes the driver's configuration. The parameters go through the driver's own parser, without the password.
func configure(s backend.Settings) (*mysql.Config, error) {
	charset, err := charsetOf(s.Charset)
	if err != nil {
		return nil, err
	}
	dsn := []string{"charset=" + charset, "clientFoundRows=true", "interpolateParams=true", "parseTime=true", "timeout=" + timeout.String()}
	mode := false
	for _, name := range slices.Sorted(maps.Keys(s.Params)) {
		param, err := check(name, s.Params[name])
		if err != nil {
			return nil, fmt.Errorf("params: %w", err)
		}
		dsn = append(dsn, param)
		mode = mode || strings.HasSuffix(strings.ToLower(name), "sql_mode")
	}
	config, err := mysql.ParseDSN("/?" + strings.Join(dsn, "&"))
	if err != nil {
		return nil, fmt.Errorf("params: %w", err)
	}
	if !mode {
		if config.Params == nil {
			config.Params = map[string]string{}
		}
		config.Params["sql_mode"] = strict
	}
	config.TLS = nil // made for the address of that DSN, and made anew for this one
	config.DBName, config.Passwd = s.Database, s.Password
	config.Logger = &mysql.NopLogger{} // all it hears is returned as an error too
	if config.Net, config.Addr, err = address(s.Hostname, s.Port); err != nil {
		return nil, err
	}
	if config.User, err = username(s.Username); err != nil {
		return nil, err
	}
	return config, nil
}

// gives tells whether the parameters set a system variable of the server, however that is written.
func gives(params map[string]string, variable string) bool {
	for name := range params {
		name = strings.ToLower(name)
		if name == variable || strings.HasSuffix(name, "."+variable) {
			return true
		}
	}
	return false
}

// check tries a parameter on the driver's parser alone, so that an error can name it.
func check(name, value string) (string, error) {
	param := name + "=" + url.QueryEscape(value)
	switch {
	case !parameter.MatchString(name):
		return "", fmt.Errorf("%q is no parameter's name", name)
	case name == "charset":
		return "", fmt.Errorf("%q is set by the option charset", name)
	case name == "strict": // the driver panics
		return "", fmt.Errorf("%q is no longer known: strictness is a matter of sql_mode", name)
	case name == "collation" && !word.MatchString(value):
		return "", fmt.Errorf("%q: %q is no collation's name", name, value)
	}
	config, err := mysql.ParseDSN("/?clientFoundRows=true&" + param)
	switch {
	case err != nil:
		return "", fmt.Errorf("%q: %w", name, err)
	case !config.ClientFoundRows:
		return "", fmt.Errorf("%q must stay on: without it an update that changes nothing looks like one that found nothing", name)
	}
	return param, nil
}

func charsetOf(charset string) (string, error) {
	switch name := strings.ToLower(charset); {
	case slices.Contains([]string{"", "utf8", "utf-8", "utf8mb3", "utf8mb4"}, name):
		return "utf8mb4", nil
	case !word.MatchString(name):
		return "", fmt.Errorf("charset: %q is no character set's name", charset)
	case slices.Contains(unsafe, name):
		return "", fmt.Errorf("charset: %q is not safe for a connection: use utf8mb4, and let the server convert", charset)
	}
	return charset, nil
}

func address(hostname string, port int) (network, addr string, err error) {
	if strings.HasPrefix(hostname, "/") {
		return "unix", hostname, nil
	}
	host := cmp.Or(hostname, "localhost")
	if name, p, err := net.SplitHostPort(host); err == nil {
		n, err := strconv.Atoi(p)
		if err != nil || port != 0 && n != port {
			return "", "", fmt.Errorf("hostname: %q has a port that is not valid, or not the option port's: leave it out", hostname)
		}
		host, port = name, n
	}
	if port = cmp.Or(port, 3306); port < 1 || port > 65535 {
		return "", "", fmt.Errorf("port: %d is not between 1 and 65535", port)
	}
	if strings.Contains(host, ",") {
		return "", "", fmt.Errorf("hostname: %q is several hosts: MySQL's driver takes one", hostname)
	}
	return "tcp", net.JoinHostPort(strings.Trim(host, "[]"), strconv.Itoa(port)), nil
}

// username defaults to the user running the program, as MySQL's own clients do.
func username(given string) (string, error) {
	if given != "" {
		return given, nil
	}
	current, err := user.Current()
	if err != nil {
		return "", errors.Join(errors.New("username: is needed, for the user running the program is unknown"), err)
	}
	_, name, found := strings.Cut(current.Username, `\`) // on Windows it begins with the domain
	if !found {
		name = current.Username
	}
	return name, nil
}

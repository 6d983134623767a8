package postgres

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/entsession/entsession/internal/backend"
)

const (
	connectTimeout  = 5 * time.Second
	applicationName = "entsession"
)

// options are the parameters that are options of ours.
var options = map[string]string{
	"host": "hostname", "port": "port", "user": "username", "password": "password",
	"dbname": "database", "database": "database", "client_encoding": "charset",
}

// configure has pgx parse the settings, as the connection string that they stand for. The password is not in that
// string, which pgx quotes in its errors.
func configure(s backend.Settings) (*pgx.ConnConfig, error) {
	settings, err := connString(s)
	if err != nil {
		return nil, err
	}
	config, err := pgx.ParseConfig(settings)
	if err != nil {
		return nil, errors.New(problem(err))
	}
	if s.Password != "" {
		config.Password = s.Password
	}
	// Whatever the database's encoding: pgx reads and writes UTF-8.
	config.RuntimeParams["client_encoding"] = "UTF8"
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = applicationName
	}
	if _, given := s.Params["connect_timeout"]; !given && config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectTimeout
	}
	_, given := s.Params["target_session_attrs"]
	switch {
	case given || os.Getenv("PGTARGETSESSIONATTRS") != "":
	case strings.Contains(s.Hostname, ","):
		// Or the pool would never leave a primary that became a standby.
		config.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	default:
		// An address may lead to a standby for a moment, while it moves to the new primary. Reads succeed there, and tell of the past: what was
		// revoked since is live.
		config.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsPrimary
	}
	return config, nil
}

// connString is the settings without the password, in libpq's keyword/value form.
func connString(s backend.Settings) (string, error) {
	if err := checkCharset(s.Charset); err != nil {
		return "", err
	}
	hosts, ports, err := hostsAndPorts(s.Hostname, s.Port)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	add := func(keyword, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s='%s' ", keyword, quoter.Replace(value))
		}
	}
	add("host", hosts)
	add("port", ports)
	add("user", s.Username)
	add("dbname", s.Database)
	for _, name := range slices.Sorted(maps.Keys(s.Params)) {
		if option, ok := options[name]; ok {
			return "", fmt.Errorf("params: %q is set by the option %s", name, option)
		}
		if name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.") != "" {
			return "", fmt.Errorf("params: %q is no parameter's name", name)
		}
		fmt.Fprintf(&b, "%s='%s' ", name, quoter.Replace(s.Params[name]))
	}
	for _, f := range []struct{ name, value string }{
		{"hostname", s.Hostname}, {"username", s.Username}, {"password", s.Password}, {"database", s.Database}, {"params", b.String()},
	} {
		if strings.ContainsRune(f.value, 0) {
			return "", fmt.Errorf("%s: holds a NUL character, which PostgreSQL does not take", f.name)
		}
	}
	return b.String(), nil
}

var quoter = strings.NewReplacer(`\`, `\\`, `'`, `\'`)

// hostsAndPorts are the lists that pgx takes: one port for all hosts, or one for each.
func hostsAndPorts(hostname string, port int) (hosts, ports string, err error) {
	if port < 0 || port > 65535 {
		return "", "", fmt.Errorf("port: %d is not between 1 and 65535", port)
	}
	common := ""
	if port != 0 {
		common = strconv.Itoa(port)
	}
	list := strings.Split(cmp.Or(hostname, "localhost"), ",")
	each, own := make([]string, len(list)), false
	for i, host := range list {
		host, each[i] = strings.TrimSpace(host), common
		// A path may have colons; so has a bare IPv6 address, that SplitHostPort refuses for it.
		if name, p, err := net.SplitHostPort(host); err == nil && !strings.HasPrefix(host, "/") {
			if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 {
				return "", "", fmt.Errorf("hostname: %q has no valid port", host)
			}
			host, each[i], own = name, p, true
		}
		if list[i] = strings.Trim(host, "[]"); list[i] == "" {
			return "", "", fmt.Errorf("hostname: %q has an empty element", hostname)
		}
	}
	ports = common
	if own {
		ports = strings.Join(each, ",")
	}
	return strings.Join(list, ","), ports, nil
}

func checkCharset(charset string) error {
	switch strings.NewReplacer("-", "", "_", "").Replace(strings.ToLower(charset)) {
	case "", "utf8", "utf8mb4", "unicode":
		return nil
	}
	return fmt.Errorf("charset: %q is not UTF-8, which a connection to PostgreSQL always uses: leave it out", charset)
}

// problem is what pgx says is wrong, without the connection string in front: it may hold the password of a key file
// (sslpassword).
func problem(err error) string {
	text := err.Error()
	if i := strings.LastIndex(text, "`: "); i >= 0 {
		text = text[i+len("`: "):]
	}
	return "params: " + text
}

// target names the database in errors.
func target(c *pgx.ConnConfig) string {
	var addresses []string
	add := func(host string, port uint16) {
		address := net.JoinHostPort(host, strconv.Itoa(int(port)))
		if !slices.Contains(addresses, address) { // sslmode=prefer tries each twice
			addresses = append(addresses, address)
		}
	}
	add(c.Host, c.Port)
	for _, f := range c.Fallbacks {
		add(f.Host, f.Port)
	}
	return fmt.Sprintf("PostgreSQL database %q at %s as %q", c.Database, strings.Join(addresses, ", "), c.User)
}

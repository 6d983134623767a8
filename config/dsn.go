package config

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/entsession/entsession"
)

// DSN reads a URL.
//
//	postgres://user:password@host:5432/database?sslmode=verify-full&table=app.sessions&expiration_timeout=3600
//	postgres:///database?host=/var/run/postgresql        a socket's directory
//	postgres://host1,host2:5432/database                 one port for all hosts
//	mysql://user:password@[::1]:3306/database            mariadb:// as well
//	mysql://user@/database?socket=/run/mysqld/mysqld.sock
//	sqlite:relative.db    sqlite:///absolute/path.db     sqlite3: as well
//
// In the query, what is the name of an option (see [Options]) is that option, and host, socket, user and dbname are hostname,
// hostname, username and database; everything else goes to the driver, as the option params. A parameter of the driver with
// the name of an option is written params=name=value. For MySQL this holds for timeout too, which there is not an alias of
// expiration_timeout: too many DSNs have a dial timeout of a few seconds there.
//
// What is special in a URL is percent-encoded: @ is %40, / is %2F, : is %3A, ? is %3F, # is %23 and % is %25.
func DSN(dsn string) (entsession.Config, error) {
	r := newReader()
	r.dsn("DSN", dsn)
	return r.finish()
}

const dsnForm = "driver://user:password@host:port/database?option=value, or sqlite:file"

var (
	// The errors about a DSN tell nothing of it but its scheme and query: where its author forgot to encode a character of the
	// password, any other part of it may be password. url.Parse, whose errors quote, is not used for that reason.
	errForm   = errors.New("is not of the form " + dsnForm)
	errAt     = errors.New("has an @ behind the host: percent-encode what is special, @ as %40, / as %2F, ? as %3F")
	errHash   = errors.New("has a #: percent-encode it as %23")
	errPort   = errors.New("the port is not a number from 1 to 65535; what is special in a password is percent-encoded")
	errPorts  = errors.New("the hosts have different ports: only one port for all of them is possible")
	errPath   = errors.New("the database's name has a /: percent-encode it as %2F")
	errEscape = errors.New("has a % that no two hexadecimal digits follow: percent-encode it as %25")

	scheme = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9+.-]*):(.*)$`)
)

// dsnNames are other names of options that only DSNs have, from libpq's.
var dsnNames = map[string]string{"host": "hostname", "socket": "hostname", "user": "username", "dbname": "database"}

// dsn takes the options of a DSN; source is what errors call it.
func (r *reader) dsn(source, dsn string) {
	at := origin{source: source}
	if err := r.parseDSN(at, dsn); err != nil {
		r.problem(at, err)
	}
}

func (r *reader) parseDSN(at origin, dsn string) error {
	if strings.ContainsAny(dsn, "\r\n\x00") {
		return errors.New("has a line break or NUL character")
	}
	m := scheme.FindStringSubmatch(dsn)
	if m == nil {
		return errForm
	}
	rest := m[2]
	if strings.Contains(rest, "#") {
		return errHash
	}
	driver, ok := driverName(strings.ToLower(m[1]))
	if !ok {
		if !strings.HasPrefix(rest, "//") { // then it is no URL, and what it begins with anything
			return errForm
		}
		return fmt.Errorf("%s is not a database; the nearest is %q", show(m[1]), nearest(m[1], driverNames))
	}
	r.take(at, "driver", driver)

	rest, query, _ := strings.Cut(rest, "?")
	if strings.Contains(query, "@") {
		return errAt
	}
	var err error
	if driver == "sqlite" {
		err = r.dsnFile(at, rest)
	} else {
		err = r.dsnServer(at, rest)
	}
	if err != nil {
		return err
	}
	return r.dsnQuery(at, query, driver)
}

// take sets an option from a part of the DSN, unless that is empty.
func (r *reader) take(at origin, name, text string) {
	if text != "" {
		at.key = name
		r.set(lookup(name), at, input{text: text})
	}
}

// dsnFile reads what follows "sqlite:".
func (r *reader) dsnFile(at origin, rest string) error {
	path := rest
	if after, ok := strings.CutPrefix(rest, "//"); ok {
		if !strings.HasPrefix(after, "/") {
			return errors.New("an SQLite file has no host: write sqlite:relative.db or sqlite:///absolute/path.db")
		}
		path = after
	}
	path, err := unescape(path)
	if err == nil {
		r.take(at, "database", path)
	}
	return err
}

// dsnServer reads //user:password@host:port/database.
func (r *reader) dsnServer(at origin, rest string) error {
	rest, ok := strings.CutPrefix(rest, "//")
	if !ok {
		return errForm
	}
	authority, database, _ := strings.Cut(rest, "/")
	switch {
	case strings.Contains(database, "@"):
		return errAt
	case strings.Contains(database, "/"):
		return errPath
	}
	hosts := authority
	var username, password string
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		username, password, _ = strings.Cut(authority[:i], ":")
		hosts = authority[i+1:]
	}
	host, port, err := splitHosts(hosts)
	if err != nil {
		return err
	}
	parts := []struct{ name, text string }{
		{"username", username}, {"password", password}, {"hostname", host}, {"port", port}, {"database", database},
	}
	for i := range parts {
		if parts[i].text, err = unescape(parts[i].text); err != nil {
			return err
		}
	}
	for _, p := range parts {
		r.take(at, p.name, p.text)
	}
	return nil
}

var portNumber = regexp.MustCompile(`^[1-9][0-9]{0,4}$`)

// splitHosts separates host:port, or several with commas between them, from the port.
func splitHosts(s string) (hosts, port string, err error) {
	if s == "" {
		return "", "", nil
	}
	all := strings.Split(s, ",")
	for i, h := range all {
		host, p, _ := strings.Cut(h, ":")
		if strings.HasPrefix(h, "[") { // IPv6
			address, after, closed := strings.Cut(h[1:], "]")
			if !closed || after != "" && after[0] != ':' {
				return "", "", errForm
			}
			host, p = address, strings.TrimPrefix(after, ":")
		}
		if p != "" && (!portNumber.MatchString(p) || len(p) == 5 && p > "65535") {
			return "", "", errPort
		}
		if i > 0 && p != port {
			return "", "", errPorts
		}
		all[i], port = host, p
	}
	return strings.Join(all, ","), port, nil
}

// dsnQuery reads option=value&...
func (r *reader) dsnQuery(at origin, query, driver string) error {
	var lists = map[string]*input{} // on_connect and params, which may come several times
	var driverParams []pair
	for part := range strings.SplitSeq(query, "&") {
		if part == "" {
			continue
		}
		key, value, _ := strings.Cut(part, "=")
		key, err := url.QueryUnescape(key)
		if err != nil {
			return errEscape
		}
		if value, err = url.QueryUnescape(value); err != nil {
			return errEscape
		}
		at.key = key
		if other, ok := dsnNames[key]; ok {
			key = other
		}
		o := lookup(key)
		switch {
		case o == nil, key == "timeout" && driver == "mysql":
			if !parameter.MatchString(key) {
				return fmt.Errorf("the query's %s is not a parameter's name: percent-encode what is special", show(name(key)))
			}
			driverParams = append(driverParams, pair{key, value})
		case o.shape == scalar:
			if value != "" {
				r.set(o, at, input{text: value})
			}
		default:
			in, err := textInput(o, value)
			if err != nil {
				r.problem(at, err)
			} else if have := lists[o.Name]; have == nil {
				lists[o.Name] = &in
			} else {
				have.items = append(have.items, in.items...)
				have.pairs = append(have.pairs, in.pairs...)
			}
		}
	}
	for _, o := range table {
		in := lists[o.Name]
		if o.Name == "params" && len(driverParams) > 0 {
			if in == nil {
				in = &input{shape: pairs}
			}
			in.pairs = append(driverParams, in.pairs...)
		}
		if in != nil {
			at.key = o.Name
			r.set(&o, at, *in)
		}
	}
	return nil
}

func unescape(s string) (string, error) {
	plain, err := url.PathUnescape(s)
	if err != nil {
		return "", errEscape
	}
	return plain, nil
}

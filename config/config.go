// Package config reads an [entsession.Config] from a YAML file, a DSN or the environment.
//
//	cfg, err := config.File("app.yaml")                           // session: store: {driver, options}
//	cfg, err := config.DSN("postgres://app@db/shop?table=app.sessions")
//	cfg, err := config.Env("")                                    // ENTSESSION_DATABASE, ENTSESSION_PORT, ...
//
// All of them know the same options, which [Options] lists. An error names every problem of its source, one a line, with
// file and line, key, value and what would be right; never a password, and never a value that could be one. What only
// the database can judge, such as the name of a table, is left to entsession.Open.
//
// The options are one table, in options.go, and their types are in kinds.go; reader.go collects what a source says and
// what is wrong with it; yaml.go, dsn.go and env.go are the sources.
package config

import (
	"fmt"
	"io"
	"os"

	"github.com/entsession/entsession"
)

// maxFile bounds a configuration file, in bytes: far more than a configuration needs, and little enough to parse.
const maxFile = 1 << 20

// File reads the YAML file at path, as [Parse] does.
func File(path string) (entsession.Config, error) {
	r := newReader()
	r.file(path)
	return r.finish()
}

// Parse reads YAML of this form; name is what errors call it.
//
//	session:
//	  store:
//	    driver: postgres
//	    options:
//	      database: shop
//	      expiration_timeout: 3600
//
// Other keys beside session, and beside store, belong to the application and are ignored, so that the application's whole
// configuration can be given. Within store and its options an unknown, repeated or misspelt key is an error, and so is a value
// of the wrong type or out of range. A key without a value (null) counts as absent. Numbers and booleans may be quoted;
// text is taken literally, so that the password 0123 needs no quotes. Anchors, aliases and merge keys (<<) work.
//
// A duration is a number of seconds, or a string such as "90s", "10m" or "2h".
func Parse(name string, yaml []byte) (entsession.Config, error) {
	r := newReader()
	r.yaml(name, yaml)
	return r.finish()
}

func (r *reader) file(path string) {
	data, err := readFile(path, maxFile)
	if err != nil {
		r.problem(origin{}, fmt.Errorf("reading the configuration: %w", err))
		return
	}
	r.yaml(path, data)
}

// readFile reads a file of at most limit bytes: a path may also be a device that never ends.
func readFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s has more than %d bytes", path, limit)
	}
	return data, nil
}

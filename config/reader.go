package config

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/entsession/entsession"
)

const (
	// maxPasswordFile bounds a password file, in bytes.
	maxPasswordFile = 64 << 10
	// maxProblems is how many of a source's problems are told: enough for every option.
	maxProblems = 100
)

// draft is a Config in the making: the password's sources are read at the end only, for another layer may replace them.
type draft struct {
	entsession.Config
	passwordFile, passwordEnv string
	passwordAt                origin
}

// reader collects what the sources say, layer by layer (a file or a DSN, then the environment's variables), and every
// problem on the way.
type reader struct {
	draft
	layer    int
	given    map[string]origin // of the layer: by group, where it was given
	problems []problem
}

type problem struct {
	layer, line int
	err         error
}

func newReader() *reader {
	return &reader{given: map[string]origin{}}
}

// nextLayer begins a source whose options replace those before.
func (r *reader) nextLayer() {
	r.layer++
	clear(r.given)
}

// set takes one option.
func (r *reader) set(o *option, at origin, in input) {
	group := cmp.Or(o.group, o.Name)
	if first, ok := r.given[group]; ok {
		r.problem(at, conflict(at, first))
		return
	}
	r.given[group] = at
	if in.shape != scalar && in.shape != o.shape {
		r.problem(at, fmt.Errorf("is a %s, but takes %s", in.shape, [...]string{"one value", "a list of strings", "a map of strings"}[o.shape]))
		return
	}
	if group == "password" {
		r.Password, r.passwordFile, r.passwordEnv, r.passwordAt = "", "", "", at
	}
	if err := o.set(&r.draft, in); err != nil {
		r.problem(at, err)
	}
}

func (r *reader) problem(at origin, err error) {
	if place := at.String(); place != "" {
		err = fmt.Errorf("%s: %w", place, err)
	}
	r.problems = append(r.problems, problem{r.layer, at.line, err})
}

// finish reads the password and returns the result, or all problems in the order of their source.
func (r *reader) finish() (entsession.Config, error) {
	if err := r.readPassword(); err != nil {
		r.problem(r.passwordAt, err)
	}
	if len(r.problems) == 0 {
		return r.Config, nil
	}
	slices.SortStableFunc(r.problems, func(a, b problem) int {
		return cmp.Or(cmp.Compare(a.layer, b.layer), cmp.Compare(a.line, b.line))
	})
	var errs []error
	for i, p := range r.problems {
		if i == maxProblems {
			errs = append(errs, fmt.Errorf("and %d more problems", len(r.problems)-i))
			break
		}
		errs = append(errs, p.err)
	}
	return entsession.Config{}, errors.Join(errs...)
}

func (r *reader) readPassword() error {
	switch {
	case r.passwordFile != "":
		data, err := readFile(r.passwordFile, maxPasswordFile)
		if err != nil {
			return fmt.Errorf("reading the password: %w", err)
		}
		r.Password = strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
		if r.Password == "" {
			return fmt.Errorf("%s is empty", r.passwordFile)
		}
	case r.passwordEnv != "":
		r.Password = os.Getenv(r.passwordEnv)
		if r.Password == "" {
			return fmt.Errorf("the environment variable %s is not set, or is empty", r.passwordEnv)
		}
	}
	if strings.Contains(r.Password, "\x00") {
		return errNUL
	}
	return nil
}

// origin is where a value comes from: "app.yaml:7: session.store.options.port", "DSN: port", "ENTSESSION_PORT".
type origin struct {
	source string // a file, or "DSN"; none for the environment
	line   int    // 0: the source has no lines
	path   string // of the mappings around the key, each with a dot at its end
	key    string
}

func (o origin) String() string {
	place := o.source
	if o.line > 0 {
		place = fmt.Sprintf("%s:%d", place, o.line)
	}
	if place != "" && o.key != "" {
		place += ": "
	}
	return place + o.path + o.key
}

// on moves the origin to a line, where its source has lines.
func (o origin) on(line int) origin {
	if o.line > 0 {
		o.line = line
	}
	return o
}

// under is the origin of a key within the value at o.
func (o origin) under(key string) origin {
	if o.key != "" {
		o.path += o.key + "."
	}
	o.key = key
	return o
}

func conflict(at, first origin) error {
	where := ""
	if first.line > 0 {
		where = fmt.Sprintf(" (line %d)", first.line)
	}
	if at.key == first.key {
		return fmt.Errorf("is given twice%s", where)
	}
	return fmt.Errorf("excludes %s%s: keep one of them", first.key, where)
}

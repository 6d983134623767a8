package config

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/entsession/entsession"
)

// DefaultPrefix is what the variables of the environment begin with, unless told otherwise.
const DefaultPrefix = "ENTSESSION"

// Env reads the environment: one variable per option (see [Options]), its name in capitals behind prefix and an underscore,
// such as ENTSESSION_DATABASE. An empty prefix is [DefaultPrefix]. A variable that is empty counts as absent.
//
// PREFIX_DSN or PREFIX_CONFIG, a file for [File], is the base, which the other variables override. ON_CONNECT takes one
// statement, or a list as in JSON; PARAMS takes name=value,name=value, or a map as in JSON, and replaces the base's.
//
// Any other variable with the prefix is an error, so choose one that nothing else uses. The variables of this module's own
// tests (ENTSESSION_TEST_* and the like) are left alone.
func Env(prefix string) (entsession.Config, error) {
	prefix = strings.TrimRight(prefix, "_")
	if prefix == "" {
		prefix = DefaultPrefix
	}
	r := newReader()
	r.env(prefix+"_", os.Environ())
	return r.finish()
}

// The variables beside the options.
const (
	envDSN    = "DSN"
	envConfig = "CONFIG"
)

// testVariables belong to this module's tests, whose servers may be wanted where the environment is read, too. Those with a
// * are beginnings.
var testVariables = []string{"TEST_*", "DBTEST_*", "REQUIRE_SERVERS", "PG_DIR"}

func (r *reader) env(prefix string, environ []string) {
	vars := map[string]string{}
	var unknown []string
	known := append(names(), "config", "dsn")
	for _, variable := range environ {
		full, value, _ := strings.Cut(variable, "=")
		short, ok := strings.CutPrefix(full, prefix)
		switch {
		case !ok, value == "":
		case slices.Contains(known, strings.ToLower(short)) && short == strings.ToUpper(short):
			vars[short] = value
		case prefix == DefaultPrefix+"_" && isTestVariable(short):
		default:
			unknown = append(unknown, full)
		}
	}
	switch {
	case vars[envDSN] != "" && vars[envConfig] != "":
		r.problem(origin{key: prefix + envDSN}, fmt.Errorf("excludes %s%s: keep one of them", prefix, envConfig))
	case vars[envDSN] != "":
		r.dsn(prefix+envDSN, vars[envDSN])
	case vars[envConfig] != "":
		r.file(vars[envConfig])
	}
	r.nextLayer()
	for i := range table {
		o := &table[i]
		for _, n := range []string{o.Name, o.Alias} {
			value, ok := vars[strings.ToUpper(n)]
			if !ok || n == "" {
				continue
			}
			at := origin{key: prefix + strings.ToUpper(n)}
			in, err := textInput(o, value)
			if err != nil {
				r.problem(at, err)
				continue
			}
			r.set(o, at, in)
		}
	}
	slices.Sort(unknown)
	for _, full := range unknown {
		r.problem(origin{key: name(full)}, fmt.Errorf("unknown variable; the nearest is %q",
			nearest(full, variables(prefix, known))))
	}
}

func isTestVariable(short string) bool {
	return slices.ContainsFunc(testVariables, func(v string) bool {
		start, open := strings.CutSuffix(v, "*")
		return short == v || open && strings.HasPrefix(short, start)
	})
}

// textInput reads the value of an option from one text. A list or map may be written as in JSON, or rather YAML.
func textInput(o *option, value string) (input, error) {
	in := input{text: value}
	var opening string
	switch o.shape {
	case scalar:
		return in, nil
	case list:
		opening = "["
		in = input{shape: list, items: []string{value}}
	case pairs:
		opening = "{"
	}
	if !strings.HasPrefix(strings.TrimSpace(value), opening) {
		if o.shape == pairs {
			found, err := parsePairs(value)
			return input{shape: pairs, pairs: found}, err
		}
		return in, nil
	}
	node, _, err := parseYAML([]byte(value))
	if err != nil {
		return in, fmt.Errorf("begins with %s but is not a %s as in JSON", opening, o.shape)
	}
	r := newReader()
	in, ok := r.input(o, entry{node: node})
	if !ok {
		return in, r.problems[0].err
	}
	if in.shape != o.shape {
		return in, errors.New("is not a " + o.shape.String())
	}
	return in, nil
}

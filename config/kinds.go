package config

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// shape is how a value is laid out.
type shape int

const (
	scalar shape = iota
	list
	pairs
)

func (s shape) String() string { return [...]string{"scalar", "list", "map"}[s] }

// input is a value as its source gives it: the literal text of a scalar, the items of a list or the pairs of a map.
type input struct {
	shape shape
	text  string
	items []string
	pairs []pair
}

type pair struct{ key, value string }

// kind is a type of value: how it is read, and written so that it reads back the same. The zero value is written as "".
type kind[T any] struct {
	shape shape
	parse func(input) (T, error)
	text  func(T) string
}

func scalarKind[T any](parse func(string) (T, error), text func(T) string) kind[T] {
	return kind[T]{scalar, func(in input) (T, error) { return parse(in.text) }, text}
}

var (
	errNUL  = errors.New("contains a NUL character")
	errUTF8 = errors.New("is not valid UTF-8")
	errDSN  = errors.New("looks like a DSN: that goes to config.DSN, or into the variable ENTSESSION_DSN")
)

// text is a string taken literally. limit is in characters; 0 is no limit.
func text(limit int) kind[string] {
	return scalarKind(func(s string) (string, error) {
		if n := utf8.RuneCountInString(s); limit > 0 && n > limit {
			return "", fmt.Errorf("%s has %d characters, more than %d", show(s), n, limit)
		}
		return s, checkText(s)
	}, itself)
}

func itself(s string) string { return s }

func checkText(s string) error {
	switch {
	case strings.Contains(s, "\x00"):
		return errNUL
	case !utf8.ValidString(s):
		return errUTF8
	}
	return nil
}

// place is the text of a database or host, where a whole DSN, with its password, is easily pasted by mistake.
func place() kind[string] {
	return scalarKind(func(s string) (string, error) {
		if strings.Contains(s, "://") && !strings.HasPrefix(s, "file:") {
			return "", errDSN
		}
		return s, checkText(s)
	}, itself)
}

// secret is any text. Its errors never tell it.
func secret() kind[string] {
	return scalarKind(func(s string) (string, error) {
		if strings.Contains(s, "\x00") {
			return "", errNUL
		}
		return s, nil
	}, itself)
}

var (
	wholeNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`) // 010 might be 8 or 10
	number      = regexp.MustCompile(`^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$`)
	fixedNumber = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?$`)
)

// integer is a whole number from low to high.
func integer(low, high int) kind[int] {
	return scalarKind(func(s string) (int, error) {
		if !wholeNumber.MatchString(s) {
			return 0, fmt.Errorf("%s is not a whole number", show(s))
		}
		n, err := strconv.Atoi(s)
		switch {
		case err == nil && n >= low && n <= high:
			return n, nil
		case high == math.MaxInt32 && strings.HasPrefix(s, "-"), high == math.MaxInt32 && n < low:
			return 0, fmt.Errorf("%s is out of range: at least %d", show(s), low)
		}
		return 0, fmt.Errorf("%s is out of range: from %d to %d", show(s), low, high)
	}, func(n int) string {
		if n == 0 {
			return ""
		}
		return strconv.Itoa(n)
	})
}

// enabled is a boolean that is true by default. A Config has its opposite, whose zero value is the default.
func enabled() kind[bool] {
	return scalarKind(func(s string) (bool, error) {
		switch strings.ToLower(s) {
		case "1", "true", "yes", "on":
			return false, nil
		case "0", "false", "no", "off":
			return true, nil
		}
		return false, fmt.Errorf("%s is not a boolean: 1, 0, true, false, yes or no", show(s))
	}, func(b bool) string {
		if b {
			return "0"
		}
		return ""
	})
}

// probability is a number from 0 to 1. A Config says never with a negative value.
func probability() kind[float64] {
	return scalarKind(func(s string) (float64, error) {
		if !number.MatchString(s) {
			return 0, fmt.Errorf("%s is not a number", show(s))
		}
		f, err := strconv.ParseFloat(s, 64)
		if err != nil || f < 0 || f > 1 {
			return 0, fmt.Errorf("%s is out of range: from 0 to 1", show(s))
		}
		if f == 0 {
			return -1, nil
		}
		return f, nil
	}, func(f float64) string {
		switch {
		case f == 0:
			return ""
		case f < 0:
			return "0"
		}
		return strconv.FormatFloat(f, 'g', -1, 64)
	})
}

// zero is what a duration of 0 means.
type zero int

const (
	refused zero = iota // there is no such thing
	none                // no limit, which is also the default: 0 in a Config
	off                 // none or always, which is not the default: negative in a Config
	always              // as off, but "none" would not say it
)

// maxWhole is the longest time that entsession counts in whole seconds.
const maxWhole = math.MaxInt32 * time.Second

// duration is a number of seconds, or text that time.ParseDuration takes.
func duration(whole bool, atZero zero) kind[time.Duration] {
	return scalarKind(func(s string) (time.Duration, error) {
		d, err := parseDuration(s, atZero)
		switch {
		case err != nil:
			return 0, err
		case d < 0:
			return 0, fmt.Errorf("%s is out of range: at least 0", show(s))
		case whole && d%time.Second != 0:
			return 0, fmt.Errorf("%s is out of range: whole seconds only", show(s))
		case whole && d > maxWhole:
			return 0, fmt.Errorf("%s is out of range: at most %d seconds", show(s), maxWhole/time.Second)
		case d == 0 && atZero == refused:
			return 0, fmt.Errorf("%s is out of range: at least 1", show(s))
		case d == 0 && atZero != none:
			return -time.Second, nil
		}
		return d, nil
	}, func(d time.Duration) string {
		switch {
		case d == 0:
			return ""
		case d < 0:
			return "0"
		case d%time.Second == 0:
			return strconv.FormatInt(int64(d/time.Second), 10)
		}
		return d.String()
	})
}

func parseDuration(s string, atZero zero) (time.Duration, error) {
	if s == "none" && (atZero == none || atZero == off) {
		return 0, nil
	}
	unit := s
	if fixedNumber.MatchString(s) {
		unit += "s"
	}
	d, err := time.ParseDuration(unit)
	if err == nil {
		return d, nil
	}
	if unit != s {
		return 0, fmt.Errorf("%s is out of range: at most 292 years", show(s))
	}
	return 0, fmt.Errorf(`%s is not a duration: a number of seconds, or such as "90s", "10m", "2h"`, show(s))
}

// statements is one statement or a list of them.
func statements() kind[[]string] {
	return kind[[]string]{list, func(in input) ([]string, error) {
		if in.shape == scalar && in.text != "" {
			in.items = []string{in.text}
		}
		for i, s := range in.items {
			if strings.TrimSpace(s) == "" {
				return nil, fmt.Errorf("statement %d is empty", i+1)
			}
			if err := checkText(s); err != nil {
				return nil, fmt.Errorf("statement %d %w", i+1, err)
			}
		}
		return in.items, nil
	}, func(items []string) string {
		var parts []string
		for _, s := range items {
			parts = append(parts, strconv.Quote(s))
		}
		return flow("[", parts, "]")
	}}
}

var parameter = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,128}$`)

// parameters are named strings. What they are worth may be secret, so errors tell only their names.
func parameters() kind[map[string]string] {
	return kind[map[string]string]{pairs, func(in input) (map[string]string, error) {
		if in.shape == scalar {
			var err error
			if in.pairs, err = parsePairs(in.text); err != nil {
				return nil, err
			}
		}
		if len(in.pairs) == 0 {
			return nil, nil
		}
		m := make(map[string]string, len(in.pairs))
		for _, p := range in.pairs {
			if !parameter.MatchString(p.key) {
				return nil, fmt.Errorf("%s is not a parameter's name: at most 128 letters, digits and _ . -", show(name(p.key)))
			}
			if err := checkText(p.value); err != nil {
				return nil, fmt.Errorf("%s %w", p.key, err)
			}
			if _, ok := m[p.key]; ok {
				return nil, fmt.Errorf("%s is given twice", p.key)
			}
			m[p.key] = p.value
		}
		return m, nil
	}, func(m map[string]string) string {
		var parts []string
		for _, key := range slices.Sorted(maps.Keys(m)) {
			parts = append(parts, strconv.Quote(key)+": "+strconv.Quote(m[key]))
		}
		return flow("{", parts, "}")
	}}
}

// parsePairs reads k=v,k=v.
func parsePairs(s string) ([]pair, error) {
	var found []pair
	for part := range strings.SplitSeq(s, ",") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		key, value, ok := strings.Cut(part, "=")
		if !ok {
			return nil, fmt.Errorf("%s has no value: write name=value,name=value", show(name(strings.TrimSpace(part))))
		}
		found = append(found, pair{strings.TrimSpace(key), strings.TrimSpace(value)})
	}
	return found, nil
}

// flow writes a list or map, whose parts are already written, on one line of YAML.
func flow(opening string, parts []string, closing string) string {
	if len(parts) == 0 {
		return ""
	}
	return opening + strings.Join(parts, ", ") + closing
}

// drivers are the names of each database, by entsession's own.
var drivers = map[string][]string{
	"postgres": {"postgres", "postgresql", "pg"},
	"mysql":    {"mysql", "mariadb"},
	"sqlite":   {"sqlite", "sqlite3"},
}

// driverNames are what an error suggests.
var driverNames = slices.Sorted(maps.Keys(drivers))

// historic are the ends of the names that older configurations call a database by.
var historic = map[string]string{"::Pg": "postgres", "::MySQL": "mysql", "::SQLite": "sqlite"}

func driver() kind[string] {
	return scalarKind(func(s string) (string, error) {
		if d, ok := driverName(s); ok {
			return d, nil
		}
		return "", fmt.Errorf("%s is not a database; the nearest is %q", show(s), nearest(s, driverNames))
	}, itself)
}

func driverName(s string) (string, bool) {
	for d, names := range drivers {
		if slices.Contains(names, s) {
			return d, true
		}
	}
	for end, d := range historic {
		if strings.HasSuffix(s, end) {
			return d, true
		}
	}
	return "", s == ""
}

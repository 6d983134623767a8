package config

import (
	"maps"
	"slices"
	"strings"

	"github.com/entsession/entsession"
)

// Setting is an option with its value, as a configuration takes it, but for the password, which is shown as ***.
type Setting struct {
	Name    string
	Value   string
	Default bool // the value was not given; where there is none, it says what happens without
}

const hidden = "***"

// serverOptions mean nothing to SQLite.
var serverOptions = []string{"username", "password", "hostname", "port", "charset"}

// Describe returns what entsession.Open works with, every option with the value given or the default. The password, and
// parameters that look like one, are hidden. The error is that of Config.WithDefaults.
func Describe(cfg entsession.Config) ([]Setting, error) {
	effective, err := cfg.WithDefaults()
	if err != nil {
		return nil, err
	}
	given, complete := &draft{Config: cfg}, &draft{Config: effective}
	given.Params = hideSecrets(given.Params)
	if given.Driver != "" {
		given.Driver = effective.Driver
	}
	var all []Setting
	for _, o := range table {
		s := Setting{Name: o.Name, Value: o.get(given)}
		switch {
		case o.secret && o.Name != "password": // how it was given is not kept
			continue
		case s.Value != "" && o.secret:
			s.Value = hidden
		case s.Value != "":
		case effective.Driver == "sqlite" && slices.Contains(serverOptions, o.Name):
			continue
		default:
			s.Default = true
			s.Value = defaultValue(o, complete)
		}
		all = append(all, s)
	}
	return all, nil
}

// defaultValue is what an option is worth that was not given.
func defaultValue(o option, complete *draft) string {
	if value := o.get(complete); value != "" {
		return value
	}
	switch {
	case o.Name == "touch_interval":
		return "0" // of a session so short that a tenth of it is no second
	case o.Name == "port" && complete.Driver == "mysql":
		return "3306"
	case o.Name == "port":
		return "5432"
	}
	return o.Default
}

// hideSecrets replaces the values of parameters such as sslpassword, which the driver takes beside the password.
func hideSecrets(params map[string]string) map[string]string {
	params = maps.Clone(params)
	for key := range params {
		k := strings.ToLower(key)
		if strings.Contains(k, "pass") && k != "passfile" || strings.Contains(k, "secret") || strings.Contains(k, "token") {
			params[key] = hidden
		}
	}
	return params
}

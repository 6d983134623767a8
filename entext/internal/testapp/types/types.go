// Package types has Go types for columns.
package types

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// Addr scans and values itself.
type Addr struct{ netip.Addr }

// Value implements driver.Valuer.
func (a Addr) Value() (driver.Value, error) {
	if !a.IsValid() {
		return nil, nil
	}
	return a.String(), nil
}

// Scan implements sql.Scanner.
func (a *Addr) Scan(v any) (err error) {
	switch v := v.(type) {
	case nil:
		*a = Addr{}
	case string:
		a.Addr, err = netip.ParseAddr(v)
	case []byte:
		a.Addr, err = netip.ParseAddr(string(v))
	default:
		return fmt.Errorf("an address from a %T", v)
	}
	return err
}

// Role is a string of the application's own, with a Validate method.
type Role string

// Validate implements ent's validator.
func (r Role) Validate() error {
	if r == "god" {
		return ErrGod
	}
	return nil
}

// ErrGod is what Validate returns.
var ErrGod = errors.New("there is no such role")

// Cents is a number of the application's own.
type Cents int64

// Prefs are kept as JSON.
type Prefs struct {
	Theme string            `json:"theme,omitempty"`
	More  map[string][]int  `json:"more,omitempty"`
	Hosts map[string]string `json:"hosts,omitempty"`
}

// Tags are kept by a ValueScanner, joined.
type Tags struct{ All []string }

// Text joins.
func (t Tags) Text() string { return strings.Join(t.All, ",") }

// Level is an enum of the application's own.
type Level string

// The levels.
const (
	Low  Level = "low"
	High Level = "high"
)

// Values implements ent's EnumValues.
func (Level) Values() []string { return []string{string(Low), string(High)} }

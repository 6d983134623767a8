package torture

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/entsession/entsession/internal/dbtest"
)

// StatementTimeout is that of all stores of a campaign. Faults that are meant to last longer than it do.
const StatementTimeout = 2 * time.Second

// targets make the targets that are no single database, by name.
var targets = map[string]func() (Target, error){}

// Open makes a target by its name: that of a dbtest.Kind, or of a topology.
func Open(name string) (Target, error) {
	if open := targets[name]; open != nil {
		return open()
	}
	for _, kind := range dbtest.Kinds() {
		switch {
		case kind.Name != name:
		case kind.Dialect == dbtest.SQLite:
			return NewSQLite()
		default:
			return NewServer(kind)
		}
	}
	return nil, fmt.Errorf("-db %s: there is no such target; there are %s", name, strings.Join(Names(), ", "))
}

// Names are those that Open knows.
func Names() (names []string) {
	for _, kind := range dbtest.Kinds() {
		names = append(names, kind.Name)
	}
	var more []string
	for name := range targets {
		more = append(more, name)
	}
	slices.Sort(more)
	return append(names, more...)
}

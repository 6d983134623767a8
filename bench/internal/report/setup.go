package report

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// setup says what ran where, with which versions and settings.
func (r *Result) setup(w io.Writer) {
	m := r.Machine
	fmt.Fprintf(w, "%s, %s. %d × %s, shared by client and server; Linux %s; %s. A write of 8 kB and its flush to the disk take %.0f µs.\n\n",
		r.Began.UTC().Format("2006-01-02 15:04 UTC"), r.Took, m.CPUs, m.CPU, m.Kernel, m.Go, m.FlushMicro)
	if r.Interrupted {
		fmt.Fprintf(w, "**Interrupted: not all was measured.**\n\n")
	}
	fmt.Fprintf(w, "`bench %s`\n\n| server | version | settings |\n|:--|:--|:--|\n", strings.Join(r.Command, " "))
	for _, name := range slices.Sorted(maps.Keys(r.Servers)) {
		fmt.Fprintf(w, "| %s | %s | %s |\n", name, r.Servers[name].Version, r.Servers[name].Settings)
	}
	fmt.Fprintf(w, "\n| store | what it is |\n|:--|:--|\n")
	for _, name := range slices.Sorted(maps.Keys(r.Stores)) {
		fmt.Fprintf(w, "| %s | %s |\n", name, r.Stores[name])
	}
	fmt.Fprintf(w, "\nEach store may have %d connections on a server. Modules:", r.Conns)
	sep := " "
	for _, name := range slices.Sorted(maps.Keys(r.Modules)) {
		fmt.Fprintf(w, "%s%s %s", sep, name, r.Modules[name])
		sep = ", "
	}
	fmt.Fprintln(w, ".")
}

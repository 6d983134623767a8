package cli

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// versionInfo is what the program knows of itself, in JSON as it is written.
type versionInfo struct {
	Version  string `json:"version"`            // such as v1.2.3, or (devel)
	Revision string `json:"revision,omitempty"` // of the source, when it was built in a checkout
	Time     string `json:"time,omitempty"`     // of that revision
	Modified bool   `json:"modified,omitempty"` // the checkout had changes
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func readVersion() versionInfo {
	v := versionInfo{Version: "(unknown)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.time":
			v.Time = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Tell which version this is, and what it was built with",
		Example: "  entsession version\n  entsession version --json",
		Args:    noArguments,
		RunE: func(*cobra.Command, []string) error {
			a.running = true
			v := readVersion()
			if a.json {
				return a.writeJSON(v)
			}
			text := "entsession " + v.Version
			if v.Revision != "" {
				text += " (revision " + v.Revision
				if v.Modified {
					text += ", modified"
				}
				text += ", " + v.Time + ")"
			}
			return a.print("%s %s %s\n", text, v.Go, v.Platform)
		},
	}
}

package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// Write writes all files into a folder, and returns their paths.
func (r *Result) Write(dir string) (paths []string, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("writing the results: %w", err)
	}
	write := func(name string, content []byte) {
		path := filepath.Join(dir, name)
		if werr := os.WriteFile(path, content, 0o644); werr != nil && err == nil {
			err = fmt.Errorf("writing the results: %w", werr)
		}
		paths = append(paths, path)
	}
	var b bytes.Buffer
	r.Markdown(&b)
	write("results.md", b.Bytes())
	b = bytes.Buffer{}
	r.Targets(&b)
	write("targets.md", b.Bytes())
	figures, jerr := json.MarshalIndent(r, "", " ")
	if jerr != nil {
		return paths, fmt.Errorf("writing the results: %w", jerr)
	}
	write("results.json", figures)
	for _, c := range r.Charts() {
		write(c.Name, c.SVG)
	}
	return paths, err
}

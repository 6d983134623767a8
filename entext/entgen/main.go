// Command entgen is `ent generate` with the extension that writes typed session stores. It is for Go's tool directive:
//
//	go get -tool github.com/entsession/entsession/entext/entgen
//	go tool entgen ./ent/schema
//
// An application with more extensions, or hooks of its own, has an entc.go instead: see docs/typed-store.md.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"entgo.io/ent/entc"
	"entgo.io/ent/entc/gen"

	"github.com/entsession/entsession/entext"
)

func main() {
	switch err := run(os.Args[1:], os.Stderr); {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "entgen:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("entgen", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.Usage = func() {
		fmt.Fprintln(out, "usage: entgen [flags] ./ent/schema")
		flags.PrintDefaults()
	}
	target := flags.String("target", "", "folder of the generated code (default: the one above the schema's)")
	pkg := flags.String("package", "", "its package path (default: that of the folder)")
	features := flags.String("feature", "", "ent's features, separated by commas, such as sql/upsert,intercept")
	templates := flags.String("template", "", "folder of ent templates of your own")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return fmt.Errorf("%d arguments: name the folder of the schema, such as ./ent/schema", flags.NArg())
	}
	options := []entc.Option{entc.Extensions(entext.New())}
	if *features != "" {
		options = append(options, entc.FeatureNames(strings.Split(*features, ",")...))
	}
	if *templates != "" {
		options = append(options, entc.TemplateDir(*templates))
	}
	if err := entc.Generate(flags.Arg(0), &gen.Config{Target: *target, Package: *pkg}, options...); err != nil {
		return fmt.Errorf("generating from %s: %w", flags.Arg(0), err)
	}
	return nil
}

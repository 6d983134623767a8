// Command migrations keeps the folder migrations/ in step with the ent schema, on empty databases that it starts itself.
//
//	go run ./internal/cmd/migrations generate NAME   # the next file of each database, if the schema has changed
//	go run ./internal/cmd/migrations check           # exit 1 with the difference when one is missing
//
// Run `go generate ./...` first. A file that is released is never changed again: databases remember its hash.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"

	"ariga.io/atlas/sql/migrate"
	"entgo.io/ent/dialect"
	"github.com/spf13/cobra"
)

// folders are the directories of each dialect.
var folders = []struct{ dialect, name string }{
	{dialect.Postgres, "postgres"},
	{dialect.MySQL, "mysql"},
	{dialect.SQLite, "sqlite"},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		os.Exit(1)
	}
}

func command() *cobra.Command {
	var root string
	cmd := &cobra.Command{
		Use:          "migrations",
		Short:        "Keep the migrations in step with the ent schema",
		SilenceUsage: true,
	}
	cmd.PersistentFlags().StringVar(&root, "dir", "migrations", "folder with one Atlas directory for each database")
	cmd.AddCommand(&cobra.Command{
		Use:   "generate NAME",
		Short: "Write the next migration file of each database that needs one",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return generate(cmd.Context(), cmd.OutOrStdout(), root, args[0])
		},
	}, &cobra.Command{
		Use:   "check",
		Short: "Fail, with the difference, when the migrations do not make the ent schema",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return check(cmd.Context(), cmd.OutOrStdout(), root)
		},
	})
	return cmd
}

var validName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// generate writes nothing before it has the files of all databases.
func generate(ctx context.Context, out io.Writer, root, name string) error {
	if !validName.MatchString(name) {
		return fmt.Errorf("migration name %q: use lower case letters, digits and _, such as add_last_seen", name)
	}
	version := migrate.NewVersion()
	type next struct {
		dir  *migrate.LocalDir
		file migrate.File
	}
	var files []next
	for _, folder := range folders {
		dir, file, err := compare(ctx, root, folder.dialect, folder.name, version, name)
		if err != nil {
			return err
		}
		switch {
		case file == nil:
		case bytes.Contains(file.Bytes(), []byte("DROP TABLE")):
			return fmt.Errorf("the migration for %s drops a table, and with it the columns that an application has added to it; "+
				"write one by hand that does not, and then its sum with `atlas migrate hash`:\n%s", dir.Path(), file.Bytes())
		default:
			files = append(files, next{dir, file})
		}
	}
	for _, f := range files {
		if err := f.dir.WriteFile(f.file.Name(), f.file.Bytes()); err != nil {
			return fmt.Errorf("writing %s: %w", f.file.Name(), err)
		}
		sum, err := f.dir.Checksum()
		if err != nil {
			return fmt.Errorf("summing %s: %w", f.dir.Path(), err)
		}
		if err := migrate.WriteSumFile(f.dir, sum); err != nil {
			return fmt.Errorf("writing the sum of %s: %w", f.dir.Path(), err)
		}
		fmt.Fprintln(out, filepath.Join(f.dir.Path(), f.file.Name()))
	}
	if len(files) == 0 {
		fmt.Fprintln(out, "the migrations already make the schema")
	}
	return nil
}

// check looks at every database before it fails.
func check(ctx context.Context, out io.Writer, root string) error {
	var drift []error
	for _, folder := range folders {
		_, file, err := compare(ctx, root, folder.dialect, folder.name, migrate.NewVersion(), "drift")
		if err != nil {
			return err
		}
		if file != nil {
			fmt.Fprintf(out, "-- %s lacks:\n%s\n", filepath.Join(root, folder.name), file.Bytes())
			drift = append(drift, fmt.Errorf("the migrations in %s do not make the ent schema: run `make migrations NAME=what_changed`",
				filepath.Join(root, folder.name)))
		}
	}
	return errors.Join(drift...)
}

func compare(ctx context.Context, root, d, folder, version, name string) (_ *migrate.LocalDir, _ migrate.File, err error) {
	dir, err := migrate.NewLocalDir(filepath.Join(root, folder))
	if err != nil {
		return nil, nil, fmt.Errorf("opening the migrations of %s: %w", d, err)
	}
	db, err := devDatabase(d)
	if err != nil {
		return nil, nil, fmt.Errorf("starting a database for %s: %w", dir.Path(), err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	file, err := missing(ctx, db, dir, version, name)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", dir.Path(), err)
	}
	return dir, file, nil
}

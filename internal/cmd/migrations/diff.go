package main

import (
	"context"
	"errors"
	"fmt"

	"ariga.io/atlas/sql/migrate"
	atlas "ariga.io/atlas/sql/schema"
	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql/schema"

	entmigrate "github.com/entsession/entsession/ent/migrate"
)

// missing returns the migration file that would bring a directory in line with the ent schema, nil when it is. It works on a
// copy of the directory. drv is an empty database.
func missing(ctx context.Context, drv dialect.Driver, dir migrate.Dir, version, name string) (migrate.File, error) {
	scratch, err := clone(dir)
	if err != nil {
		return nil, err
	}
	before, err := scratch.Files()
	if err != nil {
		return nil, err
	}
	if n := len(before); n > 0 && before[n-1].Version() >= version {
		return nil, fmt.Errorf("version %s would come before %s: is the clock right?", version, before[n-1].Name())
	}
	tables, err := tablesFor(drv.Dialect())
	if err != nil {
		return nil, err
	}
	extra := &extraTables{}
	plan, err := schema.NewMigrate(drv,
		schema.WithDir(scratch),
		schema.WithFormatter(versioned{version}),
		schema.WithMigrationMode(schema.ModeReplay),
		schema.WithDropColumn(true),
		schema.WithDropIndex(true),
		schema.WithDiffHook(extra.hook),
	)
	if err != nil {
		return nil, fmt.Errorf("comparing with the schema: %w", err)
	}
	if err := plan.NamedDiff(ctx, name, tables...); err != nil {
		return nil, fmt.Errorf("comparing with the schema: %w", err)
	}
	if len(extra.names) > 0 {
		return nil, fmt.Errorf("the migrations make tables that the schema does not have: %q", extra.names)
	}
	after, err := scratch.Files()
	if err != nil {
		return nil, err
	}
	if len(after) == len(before) {
		return nil, nil
	}
	return after[len(after)-1], nil
}

// clone copies a directory with its atlas.sum, which must fit.
func clone(dir migrate.Dir) (*migrate.MemDir, error) {
	if err := migrate.Validate(dir); err != nil {
		return nil, fmt.Errorf("checking the files against %s: %w", migrate.HashFileName, err)
	}
	files, err := dir.Files()
	if err != nil {
		return nil, err
	}
	var mem migrate.MemDir
	return &mem, mem.CopyFiles(files)
}

// tablesFor are ent's tables with what a mixin can't say for one database alone.
func tablesFor(d string) ([]*schema.Table, error) {
	tables, err := schema.CopyTables(entmigrate.Tables)
	if err != nil {
		return nil, err
	}
	if d != dialect.Postgres {
		return tables, nil
	}
	for _, t := range tables {
		for _, c := range t.PrimaryKey {
			if c.Name != "id" {
				return nil, errors.New("the primary key is not the id")
			}
			// Ids have no language: comparing them as bytes is what makes the index cheap.
			c.Collation = "C"
		}
	}
	return tables, nil
}

// versioned gives the files of all databases the same version.
type versioned struct{ version string }

func (v versioned) Format(p *migrate.Plan) ([]migrate.File, error) {
	p.Version = v.version
	return migrate.DefaultFormatter.Format(p)
}

// extraTables notes the tables that only the migrations have: ent leaves them alone without a word.
type extraTables struct{ names []string }

func (e *extraTables) hook(next schema.Differ) schema.Differ {
	return schema.DiffFunc(func(current, desired *atlas.Schema) ([]atlas.Change, error) {
		changes, err := next.Diff(current, desired)
		for _, change := range changes {
			if drop, ok := change.(*atlas.DropTable); ok {
				e.names = append(e.names, drop.T.Name)
			}
		}
		return changes, err
	})
}

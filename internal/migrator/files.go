package migrator

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"ariga.io/atlas/sql/migrate"
	"ariga.io/atlas/sql/mysql"
	"ariga.io/atlas/sql/postgres"
	"ariga.io/atlas/sql/sqlite"
	"entgo.io/ent/dialect"
)

// file is one migration.
type file struct {
	version, description string
	name                 string
	hash                 string // as in atlas.sum, without its "h1:"
	stmts                []string
	// sums are the hashes of the first statement, the first two, and so on, as a partly applied revision records them.
	sums []string
}

// ErrAltered says that a migration file is not the one that was released, or not the one that was applied.
var ErrAltered = errors.New("a migration was altered")

// readFiles reads a directory and checks it against its atlas.sum.
func readFiles(d string, dir fs.FS) ([]file, error) {
	mem, err := memDir(dir)
	if err != nil {
		return nil, err
	}
	if err := validate(mem); err != nil {
		return nil, err
	}
	sums, err := mem.Checksum()
	if err != nil {
		return nil, err
	}
	found, err := mem.Files()
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, errors.New("there are none")
	}
	files := make([]file, 0, len(found))
	for _, f := range found {
		hash, err := sums.SumByName(f.Name())
		if err != nil {
			return nil, fmt.Errorf("file %s: %w", f.Name(), err)
		}
		// The scanner of the atlas command, for the statements and their hashes must be the same.
		decls, err := migrate.FileStmtDecls(scanner(d), f)
		if err != nil {
			return nil, fmt.Errorf("file %s: %w", f.Name(), err)
		}
		next := file{version: f.Version(), description: f.Desc(), name: f.Name(), hash: hash}
		h := sha256.New()
		for _, decl := range decls {
			h.Write([]byte(decl.Text))
			next.stmts = append(next.stmts, decl.Text)
			next.sums = append(next.sums, base64.StdEncoding.EncodeToString(h.Sum(nil)))
		}
		files = append(files, next)
	}
	return files, nil
}

// memDir copies a directory into the kind that Atlas's library reads, with the atlas.sum as it is.
func memDir(dir fs.FS) (*migrate.MemDir, error) {
	entries, err := fs.ReadDir(dir, ".")
	if err != nil {
		return nil, err
	}
	var mem migrate.MemDir
	for _, e := range entries {
		if e.IsDir() || path.Ext(e.Name()) != ".sql" && e.Name() != migrate.HashFileName {
			continue
		}
		b, err := fs.ReadFile(dir, e.Name())
		if err != nil {
			return nil, err
		}
		if err := mem.WriteFile(e.Name(), b); err != nil {
			return nil, err
		}
	}
	return &mem, nil
}

func validate(dir migrate.Dir) error {
	err := migrate.Validate(dir)
	var sum *migrate.ChecksumError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &sum):
		return fmt.Errorf("%w: file %s was %s since %s was written", ErrAltered, sum.File, sum.Reason, migrate.HashFileName)
	default:
		return fmt.Errorf("%w: %s: %w", ErrAltered, migrate.HashFileName, err)
	}
}

func scanner(d string) migrate.Driver {
	switch d {
	case dialect.Postgres:
		return &postgres.Driver{}
	case dialect.MySQL:
		return &mysql.Driver{}
	default:
		return &sqlite.Driver{}
	}
}

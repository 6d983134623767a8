package entext

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"

	"entgo.io/ent/entc/gen"
)

// column is one of the application's columns.
type column struct {
	Name     string // the field's or edge's
	Constant string // of the column, in the generated package
	Var      string // of its typedstore.Field
	Setter   string // SetDevice
	Clearer  string // ClearDevice, "" if it can't be NULL
	Type     string // Go's, as the generated package writes it
	Comment  []string

	Required                   []string
	Immutable, Sensitive, JSON bool

	Check    string // an expression that is an error or nil, or ""
	Scanner  string // the field's ValueScanner, or ""
	OnCreate string // an expression for the default, or ""
	OnUpdate string

	named string // what it is called in Go, for names of predicates
	pkg   struct{ name, path string }
}

func fieldColumn(n *gen.Type, f *gen.Field) (*column, error) {
	c := &column{
		Name: f.Name, Constant: f.Constant(), Var: "column" + f.StructField(),
		Setter: "Set" + f.StructField(), Comment: comment(f.Comment()),
		Type:      local(f.Type.String(), n),
		Immutable: f.Immutable, Sensitive: f.Sensitive(), JSON: f.IsJSON() && !f.HasValueScanner(),
		named: f.StructField(),
	}
	c.pkg.name, c.pkg.path = f.Type.PkgName, f.Type.PkgPath
	if f.Optional {
		c.Clearer = "Clear" + f.StructField()
	} else if !f.Default {
		c.Required = dialects(f.RequiredFor())
	}
	switch {
	case f.IsEnum():
		c.Check = f.Validator() + "(v)"
	case f.Validators > 0:
		basic := f.BasicType("v")
		if basic == "" {
			return nil, fmt.Errorf("field %q: its validators take a %s, which ent can't make of a %s", f.Name, f.Type.Type, f.Type)
		}
		c.Check = "typedstore.Validate(" + f.Validator() + ", " + basic + ")"
	case f.HasGoType() && f.Type.Validator():
		c.Check = "v.Validate()"
	}
	if f.HasValueScanner() {
		c.Scanner = "ValueScanner." + f.StructField()
	}
	set := func(name string, fn bool) string {
		if fn {
			return "return typedstore.Default(" + c.Var + ", " + name + ", func(v " + c.Type + ") typedstore.Column { return " + c.Setter + "(v).Column })"
		}
		return "return " + c.Setter + "(" + name + ").Column"
	}
	if f.Default {
		c.OnCreate = set(f.DefaultName(), f.DefaultFunc())
	}
	if f.UpdateDefault {
		c.OnUpdate = set(f.UpdateDefaultName(), true)
	}
	return c, nil
}

func edgeColumn(n *gen.Type, e *gen.Edge) *column {
	c := &column{
		Name: e.Name, Constant: e.ColumnConstant(), Var: "column" + e.StructField() + "ID",
		Setter: e.MutationSet(), Comment: comment(e.Comment()), Type: local(e.Type.ID.Type.String(), n),
		Immutable: e.Immutable, named: e.StructField(),
	}
	c.pkg.name, c.pkg.path = e.Type.ID.Type.PkgName, e.Type.ID.Type.PkgPath
	if e.Optional {
		c.Clearer = e.MutationClear()
	} else {
		c.Required = []string{"mysql", "postgres", "sqlite3"}
	}
	return c
}

// local is a type as the schema's generated package writes it.
func local(typ string, n *gen.Type) string {
	return regexp.MustCompile(`(^|[^\w.])`+regexp.QuoteMeta(n.PackageDir())+`\.`).ReplaceAllString(typ, "$1")
}

func comment(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// dialects turns ent's names of constants, such as dialect.SQLite, into what they stand for.
func dialects(names []string) []string {
	var out []string
	for _, n := range names {
		n = strings.ToLower(strings.TrimPrefix(n, "dialect."))
		if n == "sqlite" {
			n = "sqlite3"
		}
		if n != "gremlin" {
			out = append(out, n)
		}
	}
	sort.Strings(out)
	return out
}

// unambiguous checks the names of the columns' file: ent generates a predicate, and for an enum a type, with the field's name.
func (s *store) unambiguous() error {
	ours := map[string]string{"Column": "the columns' type", "Schema": "the schema's description"}
	for _, c := range s.Columns {
		for _, name := range []string{c.Setter, c.Clearer} {
			if other, ok := ours[name]; ok && name != "" {
				return fmt.Errorf("%q and %s would both be called %s", c.Name, other, name)
			}
			ours[name] = fmt.Sprintf("%q", c.Name)
		}
	}
	for _, f := range s.node.Fields {
		names := []string{f.StructField()}
		for _, op := range f.Ops() {
			names = append(names, f.StructField()+op.Name())
		}
		if f.IsEnum() {
			names = append(names, f.EnumNames()...)
		}
		for _, name := range names {
			if other, ok := ours[name]; ok {
				return fmt.Errorf("field %q: what ent generates for it and %s would both be called %s: rename the field, and keep its column with StorageKey", f.Name, other, name)
			}
		}
	}
	return nil
}

// findImports finds the packages of the columns' types: those that ent knows, and of types within types, which it leaves to goimports, those in
// the model that it has just generated.
func (s *store) findImports(model string) error {
	file, err := parser.ParseFile(token.NewFileSet(), model, nil, parser.ImportsOnly)
	if err != nil {
		return fmt.Errorf("entext: %w", err)
	}
	known := map[string]string{}
	for _, spec := range file.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return fmt.Errorf("entext: %s: %w", model, err)
		}
		name := assumed(p)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		known[name] = p
	}
	used := map[string]string{}
	for _, c := range s.Columns {
		expr, err := parser.ParseExpr(c.Type)
		if err != nil {
			return fmt.Errorf("entext: schema %s, field %q: its type %s: %w", s.Name, c.Name, c.Type, err)
		}
		var missing error
		ast.Inspect(expr, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			name := sel.X.(*ast.Ident).Name
			switch {
			case name == c.pkg.name && c.pkg.path != "":
				used[name] = c.pkg.path
			case known[name] != "":
				used[name] = known[name]
			default:
				missing = fmt.Errorf("entext: schema %s, field %q: the package of %s.%s is not known", s.Name, c.Name, name, sel.Sel.Name)
			}
			return false
		})
		if missing != nil {
			return missing
		}
	}
	if _, ok := used["typedstore"]; ok {
		return fmt.Errorf("entext: schema %s: a field's type is from a package called typedstore, which the generated code uses too", s.Name)
	}
	s.Imports = nil
	for name, p := range used {
		line := strconv.Quote(p)
		if name != path.Base(p) {
			line = name + " " + line
		}
		s.Imports = append(s.Imports, line)
	}
	slices.Sort(s.Imports)
	return nil
}

var version = regexp.MustCompile(`^v[0-9]+$`)

// assumed is the name of a package that is imported without one: goimports writes it where it differs from the path's last part.
func assumed(p string) string {
	base := path.Base(p)
	if version.MatchString(base) && path.Dir(p) != "." {
		base = path.Base(path.Dir(p))
	}
	base = strings.TrimPrefix(base, "go-")
	if i := strings.IndexFunc(base, func(r rune) bool {
		return !(r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z')
	}); i > 0 {
		base = base[:i]
	}
	return base
}

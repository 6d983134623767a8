package entext

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"entgo.io/ent/dialect/sql/schema"
	"entgo.io/ent/entc/gen"
	"entgo.io/ent/schema/field"

	"github.com/entsession/entsession/mixin"
)

// own are the store's columns; see package mixin.
var own = []string{"id", "data", "timeout", "version", "created", "application"}

// store is what the templates are given: a schema with a typed store.
type store struct {
	Name    string // the schema's: Session
	Store   string // SessionStore
	Stored  string // StoredSession
	Package string // ent
	Dir     string // session
	Path    string // example.com/app/ent/session
	Alias   string // what the store's file calls it
	Ent     string // example.com/app/ent

	Columns     []*column
	Constraints map[string]string
	References  []string
	Imports     []string // of the columns' file

	node *gen.Type
}

// collect finds the schemas, in the graph's order.
func collect(g *gen.Graph) ([]*store, error) {
	if g.Storage == nil || g.Storage.Name != "sql" {
		return nil, fmt.Errorf("entext: typed stores need ent's sql storage")
	}
	var stores []*store
	for _, n := range g.Nodes {
		a, ok, err := annotation(n)
		if err != nil {
			return nil, err
		}
		if !ok || a.Skip {
			continue
		}
		s, err := newStore(g, n, a)
		if err != nil {
			return nil, fmt.Errorf("entext: schema %s: %w", n.Name, err)
		}
		stores = append(stores, s)
	}
	return stores, unambiguous(g, stores)
}

// annotation reads a schema's. From a schema it comes as what encoding/json makes of a JSON object; a hook of the application's may have set it as a value.
func annotation(n *gen.Type) (a mixin.Annotation, ok bool, err error) {
	v, ok := n.Annotations[mixin.AnnotationName]
	if !ok {
		return a, false, nil
	}
	text, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(text, &a)
	}
	if err != nil {
		return a, false, fmt.Errorf("entext: schema %s: reading its annotation %s: %w", n.Name, mixin.AnnotationName, err)
	}
	return a, true, nil
}

func newStore(g *gen.Graph, n *gen.Type, a mixin.Annotation) (*store, error) {
	if err := suitable(n); err != nil {
		return nil, err
	}
	s := &store{
		Name: n.Name, Store: n.Name + "Store", Stored: "Stored" + n.Name,
		Package: g.Package[strings.LastIndexByte(g.Package, '/')+1:], Ent: g.Package,
		Dir: n.PackageDir(), Path: g.Package + "/" + n.PackageDir(), Alias: n.Package(),
		Constraints: map[string]string{},
		node:        n,
	}
	if a.Store != "" {
		s.Store = a.Store
	}
	if a.Stored != "" {
		s.Stored = a.Stored
	}
	if slices.Contains([]string{"entsession", "typedstore", "predicate", "fmt", "slog", "time", "errors"}, s.Alias) {
		s.Alias += "columns"
	}
	for _, f := range n.Fields {
		if slices.Contains(own, f.StorageKey()) {
			continue
		}
		c, err := fieldColumn(n, f)
		if err != nil {
			return nil, err
		}
		s.Columns = append(s.Columns, c)
	}
	for _, e := range n.EdgesWithID() {
		if e.OwnFK() && !e.HasFieldSetter() {
			s.Columns = append(s.Columns, edgeColumn(n, e))
		}
	}
	return s, s.constraints(g)
}

// suitable checks that a schema makes a sessions table.
func suitable(n *gen.Type) error {
	if n.IsView() {
		return fmt.Errorf("is a view: a store needs a table")
	}
	if !n.HasOneFieldID() || n.ID.Type == nil || n.ID.Type.Type != field.TypeString || n.ID.StorageKey() != "id" || n.ID.HasGoType() {
		return fmt.Errorf(`its id is no plain string: use mixin.Session, or a field.String("id")`)
	}
	for name, ok := range map[string]func(*gen.Field) bool{
		"data":        func(f *gen.Field) bool { return f.Type.Type == field.TypeString && !f.HasGoType() },
		"timeout":     func(f *gen.Field) bool { return f.Type.Type.Integer() && !f.HasGoType() },
		"version":     func(f *gen.Field) bool { return f.Type.Type.Integer() && !f.HasGoType() },
		"created":     func(f *gen.Field) bool { return f.Type.Type.Integer() && !f.HasGoType() },
		"application": func(f *gen.Field) bool { return f.Type.Type == field.TypeString && !f.HasGoType() },
	} {
		i := slices.IndexFunc(n.Fields, func(f *gen.Field) bool { return f.StorageKey() == name })
		switch {
		case i < 0 && (name == "data" || name == "timeout"):
			return fmt.Errorf("it has no column %q: use mixin.Session, or add the field", name)
		case i >= 0 && !ok(n.Fields[i]):
			return fmt.Errorf("the field %q, which is the store's, has the type %s: see mixin.Session for what it should be", name, n.Fields[i].Type)
		}
	}
	return nil
}

// constraints notes to which column a name in a database's error belongs.
func (s *store) constraints(g *gen.Graph) error {
	tables, err := g.Tables()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(tables, func(t *schema.Table) bool { return t.Name == s.node.Table() })
	if i < 0 {
		return fmt.Errorf("ent has no table %s", s.node.Table())
	}
	t := tables[i]
	extra := func(name string) bool { return !slices.Contains(own, name) }
	for _, c := range t.Columns {
		if c.Unique && extra(c.Name) {
			s.Constraints[c.Name] = c.Name                    // MySQL
			s.Constraints[t.Name+"_"+c.Name+"_key"] = c.Name  // PostgreSQL
			s.Constraints[s.node.Label()+"_"+c.Name] = c.Name // an index of ent's
			s.Constraints[t.Name+"_"+c.Name] = c.Name         // the same, elsewhere
		}
	}
	for _, x := range t.Indexes {
		if len(x.Columns) == 1 && x.Unique && extra(x.Columns[0].Name) {
			s.Constraints[x.Name] = x.Columns[0].Name
		}
	}
	for _, fk := range t.ForeignKeys {
		if len(fk.Columns) == 1 {
			s.Constraints[fk.Symbol] = fk.Columns[0].Name
			s.References = append(s.References, fk.Columns[0].Name)
		}
	}
	if t.Annotation != nil {
		checks := maps.Clone(t.Annotation.Checks)
		if checks == nil {
			checks = map[string]string{}
		}
		if t.Annotation.Check != "" { // ent has the database name it
			checks[""] = t.Annotation.Check
		}
		for name, expr := range checks {
			var of []string
			for _, c := range t.Columns {
				if regexp.MustCompile(`\b` + regexp.QuoteMeta(c.Name) + `\b`).MatchString(expr) {
					of = append(of, c.Name)
				}
			}
			if len(of) == 1 && name != "" && extra(of[0]) {
				s.Constraints[name] = of[0]
			}
		}
	}
	return nil
}

// unambiguous checks that what is generated meets no other name of the package.
func unambiguous(g *gen.Graph, stores []*store) error {
	taken := map[string]string{}
	for _, n := range g.Nodes {
		for _, name := range []string{n.Name, n.ClientName(), n.QueryName(), n.CreateName(), n.CreateBulkName(), n.UpdateName(), n.UpdateOneName(),
			n.DeleteName(), n.DeleteOneName(), n.MutationName(), n.Name + "Edges", n.Name + "GroupBy", n.Name + "Select"} {
			taken[name] = "of the schema " + n.Name
		}
	}
	for _, s := range stores {
		if s.Name == "Data" {
			return fmt.Errorf("entext: schema Data: its session would have two fields called Data, the entity and the payload: rename the schema, and keep its table with entsql.Annotation")
		}
		for _, name := range []string{s.Store, s.Stored, "New" + s.Store} {
			if by, ok := taken[name]; ok {
				return fmt.Errorf("entext: schema %s: the name %s is taken, %s: give it another with mixin.Annotation{Store: …, Stored: …}", s.Name, name, by)
			}
			taken[name] = "by the typed store of " + s.Name
		}
		if err := s.unambiguous(); err != nil {
			return fmt.Errorf("entext: schema %s: %w", s.Name, err)
		}
	}
	return nil
}

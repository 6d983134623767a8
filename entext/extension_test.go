package entext_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/entc"
	"entgo.io/ent/entc/gen"
	"entgo.io/ent/entc/load"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/entext"
	"github.com/entsession/entsession/mixin"
)

var update = flag.Bool("update", false, "rewrite the golden files")

type User struct{ ent.Schema }

func (User) Edges() []ent.Edge { return []ent.Edge{edge.To("sessions", Session.Type)} }

type Session struct{ ent.Schema }

func (Session) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Session{}} }

func (Session) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Annotation{Checks: map[string]string{"not_the_future": "year < 3000"}}}
}

func (Session) Fields() []ent.Field {
	return []ent.Field{
		field.String("device").MaxLen(40).Optional().Comment("What the user calls it."),
		field.Enum("state").Values("new", "trusted").Default("new"),
		field.Int("year").Immutable(),
		field.String("pin").Sensitive().Unique().Optional(),
		field.Strings("roles").Optional(),
	}
}

func (Session) Edges() []ent.Edge {
	return []ent.Edge{edge.From("user", User.Type).Ref("sessions").Unique().Required()}
}

// The tests take turns: ent keeps its templates in a variable.

// graph takes schemas the way ent does: through JSON.
func graph(t *testing.T, target string, schemas ...ent.Interface) *gen.Graph {
	t.Helper()
	storage, err := gen.NewStorage("sql")
	require.NoError(t, err)
	var loaded []*load.Schema
	for _, s := range schemas {
		text, err := load.MarshalSchema(s)
		require.NoError(t, err)
		l, err := load.UnmarshalSchema(text)
		require.NoError(t, err)
		loaded = append(loaded, l)
	}
	g, err := gen.NewGraph(&gen.Config{
		Schema: "example.com/app/ent/schema", Package: "example.com/app/ent", Target: target, Storage: storage,
	}, loaded...)
	require.NoError(t, err)
	return g
}

func with(t *testing.T, g *gen.Graph, extensions ...entc.Extension) *gen.Graph {
	t.Helper()
	require.NoError(t, entc.Extensions(extensions...)(g.Config))
	return g
}

// tree is every file below a folder.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		files[filepath.ToSlash(name)] = string(text)
		return err
	}))
	return files
}

func TestGolden(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, with(t, graph(t, dir, User{}, Session{}), entext.New()).Gen())
	files := tree(t, dir)
	for name, golden := range map[string]string{"session_store.go": "store.golden", "session/columns.go": "columns.golden"} {
		path := filepath.Join("testdata", golden)
		if *update {
			require.NoError(t, os.WriteFile(path, []byte(files[name]), 0o644))
		}
		want, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, string(want), files[name], "go test ./entext -update rewrites it")
	}
	require.NotContains(t, files, "user_store.go")
	require.Regexp(t, "ID string +`json:\"-\"`", files["session.go"])
	require.Contains(t, files["session.go"], `"id=%v, ", "<sensitive>"`)
	require.Contains(t, files["user.go"], `"id=%v", _m.ID`, "that of no other schema")
}

// TestAgain: generating twice gives the same.
func TestAgain(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, with(t, graph(t, dir, User{}, Session{}), entext.New()).Gen())
	first := tree(t, dir)
	require.NoError(t, with(t, graph(t, dir, User{}, Session{}), entext.New()).Gen())
	require.Equal(t, first, tree(t, dir))
}

// other is an extension that touches what ours does: it has a stringer of its own, and a hook that adds a node's annotation.
type other struct {
	entc.DefaultExtension
	saw *[]string
}

func (o other) Templates() []*gen.Template {
	return []*gen.Template{
		gen.MustParse(gen.NewTemplate("other").Parse(`{{ define "model/stringer" }}
			// String is the application's own.
			func ({{ $.Receiver }} *{{ $.Name }}) String() string { return fmt.Sprint("mine: ", {{ $.Receiver }}.ID) }
		{{ end }}
		{{ define "extra_file" }}{{ template "header" $ }}
			const Nodes = {{ len $.Nodes }}
		{{ end }}`)),
	}
}

func (o other) Hooks() []gen.Hook {
	return []gen.Hook{func(next gen.Generator) gen.Generator {
		return gen.GenerateFunc(func(g *gen.Graph) error {
			for _, n := range g.Nodes {
				n.Annotations.Set("Other", map[string]any{"x": 1})
			}
			err := next.Generate(g)
			for _, n := range g.Nodes {
				*o.saw = append(*o.saw, n.Name)
			}
			return err
		})
	}}
}

// TestOrder: the place among other extensions makes no difference.
func TestOrder(t *testing.T) {
	var trees []map[string]string
	for _, ours := range []int{0, 1} {
		dir := t.TempDir()
		var saw []string
		extensions := []entc.Extension{other{saw: &saw}, other{saw: &saw}}
		extensions[ours] = entext.New()
		require.NoError(t, with(t, graph(t, dir, User{}, Session{}), extensions...).Gen())
		require.Len(t, saw, 2)
		trees = append(trees, tree(t, dir))
	}
	require.Equal(t, trees[0], trees[1])
	require.Contains(t, trees[0]["session.go"], `fmt.Sprint("mine: ", "<sensitive>")`)
	require.Contains(t, trees[0]["user.go"], `fmt.Sprint("mine: ", _m.ID)`)
	require.Contains(t, trees[0]["extra_file.go"], "const Nodes = 2")
	require.Contains(t, trees[0], "session_store.go")
}

type Skipped struct{ Session }

func (Skipped) Annotations() []schema.Annotation {
	return []schema.Annotation{mixin.Annotation{Skip: true}}
}

func (Skipped) Edges() []ent.Edge { return nil }

type Named struct{ Skipped }

func (Named) Annotations() []schema.Annotation {
	return []schema.Annotation{mixin.Annotation{Store: "Logins", Stored: "Login"}}
}

func TestStale(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "with[brackets]*")
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, with(t, graph(t, dir, Named{}, Skipped{}), entext.New()).Gen())
	require.Contains(t, tree(t, dir), "named_store.go")
	require.Contains(t, tree(t, dir)["named_store.go"], "type Logins struct")
	require.Contains(t, tree(t, dir)["named_store.go"], "type Login struct")
	require.NotContains(t, tree(t, dir), "skipped_store.go")

	// One is gone, the other no store any more; a file of the application's own stays.
	own := filepath.Join(dir, "my_store.go")
	require.NoError(t, os.WriteFile(own, []byte("package ent\n"), 0o600))
	stale := filepath.Join(dir, "skipped", "columns.go")
	require.NoError(t, os.WriteFile(stale, []byte(strings.Replace(tree(t, dir)["named/columns.go"], "package named", "package skipped", 1)), 0o600))
	require.NoError(t, with(t, graph(t, dir, Skipped{}), entext.New()).Gen())
	files := tree(t, dir)
	require.NotContains(t, files, "named_store.go")
	require.NotContains(t, files, "skipped/columns.go")
	require.Contains(t, files, "my_store.go")
	require.NoDirExists(t, filepath.Join(dir, "named"))
}

func TestOwnFileStays(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "session_store.go")
	require.NoError(t, os.WriteFile(path, []byte("package ent\n"), 0o600))
	err := with(t, graph(t, dir, User{}, Session{}), entext.New()).Gen()
	require.ErrorContains(t, err, "was not generated by entsession")
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "package ent\n", string(text))
}

type NoData struct{ ent.Schema }

func (NoData) Annotations() []schema.Annotation { return []schema.Annotation{mixin.Annotation{}} }
func (NoData) Fields() []ent.Field {
	return []ent.Field{field.String("id"), field.Int("timeout")}
}

type NumberID struct{ NoData }

func (NumberID) Fields() []ent.Field {
	return []ent.Field{field.Text("data"), field.Int("timeout")}
}

type TextTimeout struct{ NoData }

func (TextTimeout) Fields() []ent.Field {
	return []ent.Field{field.String("id"), field.Text("data"), field.String("timeout")}
}

type FieldColumn struct{ Skipped }

func (FieldColumn) Annotations() []schema.Annotation { return nil }
func (FieldColumn) Fields() []ent.Field              { return []ent.Field{field.String("column")} }

type FieldSet struct{ FieldColumn }

func (FieldSet) Fields() []ent.Field {
	return []ent.Field{field.String("device"), field.Bool("set_device")}
}

type SkippedStore struct{ Skipped }

func (SkippedStore) Mixin() []ent.Mixin               { return nil }
func (SkippedStore) Annotations() []schema.Annotation { return nil }

type Taken struct{ Skipped }

func (Taken) Annotations() []schema.Annotation {
	return []schema.Annotation{mixin.Annotation{Store: "SkippedStore"}}
}

type Data struct{ Skipped }

func (Data) Annotations() []schema.Annotation { return nil }

// TestMistakes: found before anything is written.
func TestMistakes(t *testing.T) {
	for _, c := range []struct {
		schemas []ent.Interface
		want    string
	}{
		{[]ent.Interface{NoData{}}, `schema NoData: it has no column "data"`},
		{[]ent.Interface{NumberID{}}, `schema NumberID: its id is no plain string`},
		{[]ent.Interface{TextTimeout{}}, `the field "timeout", which is the store's, has the type string`},
		{[]ent.Interface{FieldColumn{}}, `field "column": what ent generates for it and the columns' type would both be called Column`},
		{[]ent.Interface{FieldSet{}}, `field "set_device"`},
		{[]ent.Interface{Data{}}, `schema Data: its session would have two fields called Data`},
		{[]ent.Interface{Taken{}, SkippedStore{}}, `the name SkippedStore is taken, of the schema SkippedStore`},
	} {
		dir := t.TempDir()
		err := with(t, graph(t, dir, c.schemas...), entext.New()).Gen()
		require.ErrorContains(t, err, c.want)
		require.Empty(t, tree(t, dir))
	}
}

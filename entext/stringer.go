package entext

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
)

// hideID takes the id out of what an entity's String returns. ent prints "<sensitive>" for a sensitive field, but forgets that the id may be one;
// with entsession.Config.PlainIDs it opens the session. It is done in the file rather than by a template of our own, of which only the last
// that any extension or application brings would count.
func hideID(path, name string) error {
	src, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("entext: %w", err)
	}
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, src, parser.SkipObjectResolution)
	if err != nil {
		return fmt.Errorf("entext: %w", err)
	}
	var ids []*ast.SelectorExpr
	for _, decl := range file.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if !ok || f.Name.Name != "String" || f.Recv == nil || len(f.Recv.List[0].Names) == 0 || receiver(f) != name {
			continue
		}
		self := f.Recv.List[0].Names[0].Name
		ast.Inspect(f.Body, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok && sel.Sel.Name == "ID" {
				if x, ok := sel.X.(*ast.Ident); ok && x.Name == self {
					ids = append(ids, sel)
				}
			}
			return true
		})
	}
	for _, sel := range slices.Backward(ids) {
		from, to := set.Position(sel.Pos()).Offset, set.Position(sel.End()).Offset
		src = slices.Replace(src, from, to, []byte(`"<sensitive>"`)...)
	}
	if len(ids) == 0 {
		return nil
	}
	if err := os.WriteFile(path, src, 0o644); err != nil {
		return fmt.Errorf("entext: %w", err)
	}
	return nil
}

// receiver is the name of a method's type.
func receiver(f *ast.FuncDecl) string {
	t := f.Recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	if id, ok := t.(*ast.Ident); ok {
		return id.Name
	}
	return ""
}

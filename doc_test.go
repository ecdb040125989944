package unroll_test

import (
	"go/ast"
	"go/doc"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const module = "github.com/unroll-go/unroll"

// TestDocNamesEverything checks that doc.go has a list item for every package that a user can import, and that in the
// items of the packages below the text names every type with methods, which are the layers, losses, optimizers,
// metrics and sources, and every function that is a loss.
func TestDocNamesEverything(t *testing.T) {
	packages := userPackages(t)
	require.Contains(t, packages, module+"/dataset/mnist")
	items := listItems(packages[module])
	for name, p := range packages {
		item, ok := items[name]
		if name == module || !assert.True(t, ok, "doc.go has no list item for package [%s]", name) {
			continue
		}
		switch strings.TrimPrefix(name, module+"/") {
		case "layers", "rnn", "loss", "optim", "metrics", "dataset", "train":
			for _, exported := range needed(p) {
				assert.Contains(t, item, exported, "doc.go does not name %s.%s in the list item of its package", p.Name, exported)
			}
		}
	}
	for name := range items {
		assert.Contains(t, packages, name, "doc.go has a list item for [%s], which is no package", name)
	}
}

// userPackages returns the documentation of the module's packages by their paths, without internal packages, examples and commands.
func userPackages(t *testing.T) map[string]*doc.Package {
	t.Helper()
	packages := map[string]*doc.Package{}
	require.NoError(t, filepath.WalkDir(".", func(folder string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		_, noModule := os.Stat(filepath.Join(folder, "go.mod"))
		if base := entry.Name(); folder != "." && (noModule == nil || base == "internal" || base == "examples" || base == "testdata" || base[0] == '.') {
			return filepath.SkipDir
		}
		sources, err := filepath.Glob(filepath.Join(folder, "*.go"))
		if err != nil {
			return err
		}
		fileSet := token.NewFileSet()
		var files []*ast.File
		for _, source := range sources {
			if strings.HasSuffix(source, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(fileSet, source, nil, parser.ParseComments)
			if err != nil {
				return err
			}
			files = append(files, file)
		}
		if len(files) == 0 {
			return nil
		}
		name := path.Join(module, filepath.ToSlash(folder))
		p, err := doc.NewFromFiles(fileSet, files, name)
		packages[name] = p
		return err
	}))
	return packages
}

// listItems returns, for each package that a list item of the documentation links to, the item's words.
func listItems(p *doc.Package) map[string][]string {
	items := map[string][]string{}
	for _, block := range p.Parser().Parse(p.Doc).Content {
		list, ok := block.(*comment.List)
		if !ok {
			continue
		}
		for _, item := range list.Items {
			var name string
			var words []string
			for _, block := range item.Content {
				for _, part := range block.(*comment.Paragraph).Text {
					switch part := part.(type) {
					case *comment.DocLink:
						name = part.ImportPath
					case comment.Plain:
						words = append(words, strings.FieldsFunc(string(part), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })...)
					}
				}
			}
			items[name] = words
		}
	}
	return items
}

// needed returns the names of a package's types that have methods, other than errors, and of its functions from nodes to a node.
func needed(p *doc.Package) (names []string) {
	for _, t := range p.Types {
		isError := false
		for _, m := range t.Methods {
			isError = isError || m.Name == "Error"
		}
		if len(t.Methods) > 0 && !isError {
			names = append(names, t.Name)
		}
	}
	for _, f := range p.Funcs {
		if results := f.Decl.Type.Results; p.Name == "loss" && results != nil && len(results.List) == 1 {
			names = append(names, f.Name)
		}
	}
	return names
}

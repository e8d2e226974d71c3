package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What is left when a guard is taken out compiles: a row that does not shows nothing. The go command would take seconds
// for each; so only the package that the file is in is looked at, as go vet does.
func TestRowsCompile(t *testing.T) {
	packages := list(t)
	fset := token.NewFileSet()
	exports := map[string]string{}
	for path, p := range packages {
		exports[path] = p.Export
	}
	imports := importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	whole := map[string]*ast.File{}
	parse := func(path string, source any) (*ast.File, error) {
		if f := whole[path]; f != nil && source == nil {
			return f, nil
		}
		f, err := parser.ParseFile(fset, path, source, parser.SkipObjectResolution)
		if source == nil {
			whole[path] = f
		}
		return f, err
	}
	for _, g := range tables {
		path, err := filepath.Abs(filepath.Join("../..", filepath.FromSlash(g.file)))
		if err != nil {
			t.Fatal(err)
		}
		source, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		left := strings.Replace(string(source), g.from, g.to, 1)
		p := packages["headrace/"+filepath.ToSlash(filepath.Dir(filepath.FromSlash(g.file)))]
		if p == nil {
			t.Errorf("%s: %s is in no package", g, g.file)
			continue
		}
		var files []*ast.File
		var wrong []error
		found := false
		for _, name := range p.GoFiles {
			at, content := filepath.Join(p.Dir, name), any(nil)
			if at == path {
				found, content = true, left
			}
			f, err := parse(at, content)
			if err != nil {
				wrong = append(wrong, err)
				continue
			}
			files = append(files, f)
		}
		if !found { // it is for another system, or no Go
			continue
		}
		if wrong == nil {
			c := types.Config{Importer: imports, Error: func(err error) { wrong = append(wrong, err) }}
			_, _ = c.Check(p.ImportPath, fset, files, nil) // its error is the first of these
		}
		if err := errors.Join(wrong...); err != nil {
			t.Errorf("%s: does not compile without it: %v", g, err)
		}
	}
}

type listed struct {
	ImportPath, Dir, Export string
	GoFiles                 []string
}

// list returns all packages of the module and those that they import, compiled.
func list(t *testing.T) map[string]*listed {
	t.Helper()
	command := exec.Command("go", "list", "-deps", "-export", "-json=ImportPath,Dir,Export,GoFiles", "./...")
	command.Dir = "../.."
	var said bytes.Buffer
	command.Stderr = &said
	out, err := command.Output()
	if err != nil {
		t.Fatal(fmt.Errorf("go list: %w: %s", err, said.Bytes()))
	}
	all := map[string]*listed{}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all[p.ImportPath] = &p
	}
}

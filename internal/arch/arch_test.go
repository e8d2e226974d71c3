// Package arch_test keeps the shape of the project: arrows between packages point down, each dependency lives behind
// one package, every package says what it promises, and ARCHITECTURE.md names the folders that exist. It promises to
// look at every file of the module, whatever system the file is for.
package arch_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// root is the module's folder, module its path.
const root, module = "../..", "headrace"

// folder is what one package's source says of itself.
type folder struct {
	name    string              // of the package
	doc     string              // its package comment
	code    bool                // it has more than tests
	imports map[string][]string // import path -> files that import it, without the tests
}

// source reads every package of the module. A package that consists of tests alone is there too, with its comment.
func source(t *testing.T) map[string]*folder {
	t.Helper()
	found := map[string]*folder{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") || strings.HasPrefix(d.Name(), "_")):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if found[rel] == nil {
			found[rel] = &folder{imports: map[string][]string{}}
		}
		found[rel].add(path, file)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func (f *folder) add(path string, file *ast.File) {
	isTest := strings.HasSuffix(path, "_test.go")
	if file.Doc != nil && (!isTest || f.doc == "") {
		f.name, f.doc = file.Name.Name, file.Doc.Text()
	}
	if isTest {
		return
	}
	f.code = true
	for _, spec := range file.Imports {
		to := strings.Trim(spec.Path.Value, `"`)
		f.imports[to] = append(f.imports[to], filepath.Base(path))
	}
}

// TestImportsPointDown fails when a package of ours imports another that its row does not name, or has no row.
func TestImportsPointDown(t *testing.T) {
	found := source(t)
	for _, name := range slices.Sorted(maps.Keys(found)) {
		row, ok := rows[name]
		if !ok && found[name].code {
			t.Errorf("package %s has no row in internal/arch/rows_test.go: say there what it may import, and why no more", name)
			continue
		}
		for to, files := range found[name].imports {
			if ours, ok := strings.CutPrefix(to, module+"/"); ok && !covers(row.may, ours) {
				t.Errorf("%s imports %s (in %s), but may import only [%s]: %s", name, ours, strings.Join(files, ", "), row.may, row.why)
			}
		}
	}
}

// TestDependenciesLiveBehindOnePackage fails when a package imports somebody else's code that belongs behind another
// package, or that no row names.
func TestDependenciesLiveBehindOnePackage(t *testing.T) {
	found := source(t)
	for _, name := range slices.Sorted(maps.Keys(found)) {
		for to, files := range found[name].imports {
			if first, _, _ := strings.Cut(to, "/"); first == module || !strings.Contains(first, ".") {
				continue // ours, or the standard library
			}
			i := slices.IndexFunc(foreign, func(f dependency) bool { return covers(f.path, to) })
			if i < 0 {
				t.Errorf("%s imports %s (in %s), which no row of internal/arch/rows_test.go names: say there whose dependency it is, and why", name, to, strings.Join(files, ", "))
				continue
			}
			if f := foreign[i]; !covers(f.only, name) {
				t.Errorf("%s imports %s (in %s), which only [%s] may: %s", name, to, strings.Join(files, ", "), f.only, f.why)
			}
		}
	}
}

// TestKindsStayApart fails when what is of one kind of source, or of engine, comes into a file of node that serves
// all kinds.
func TestKindsStayApart(t *testing.T) {
	imports := source(t)["node"].imports
	for path, only := range oneFile {
		if files := imports[module+"/"+path]; len(files) != 1 || files[0] != only {
			t.Errorf("node imports %s in [%s], but may only in %s: the rest of node serves any kind of source and engine", path, strings.Join(files, ", "), only)
		}
	}
}

// TestLightPackages fails when a package that needs no module of others comes to need one, by whatever chain of
// imports.
func TestLightPackages(t *testing.T) {
	found := source(t)
	for _, l := range light {
		if found[l.name] == nil {
			t.Errorf("a row of internal/arch/rows_test.go speaks of %s, which does not exist", l.name)
			continue
		}
		seen := map[string]bool{}
		var visit func(name, by string)
		visit = func(name, by string) {
			if seen[name] {
				return
			}
			seen[name] = true
			for to, files := range found[name].imports {
				if ours, ok := strings.CutPrefix(to, module+"/"); ok {
					visit(ours, by+" -> "+ours)
				} else if first, _, _ := strings.Cut(to, "/"); strings.Contains(first, ".") {
					t.Errorf("%s imports %s (in %s), but %s needs no module of others: %s", by, to, strings.Join(files, ", "), l.name, l.why)
				}
			}
		}
		visit(l.name, l.name)
	}
}

// TestPurePackages fails when a package reaches for a part of the standard library that its promise excludes.
func TestPurePackages(t *testing.T) {
	found := source(t)
	for _, p := range pure {
		if found[p.name] == nil {
			t.Errorf("a row of internal/arch/rows_test.go speaks of %s, which does not exist", p.name)
			continue
		}
		for to, files := range found[p.name].imports {
			if covers(p.never, to) {
				t.Errorf("%s imports %s (in %s), but must not: %s", p.name, to, strings.Join(files, ", "), p.why)
			}
		}
	}
}

// TestSuitesServeTestsAlone fails when a package that is not for tests imports one that is, which is one that imports
// testing.
func TestSuitesServeTestsAlone(t *testing.T) {
	found := source(t)
	isSuite := func(name string) bool { return found[name] != nil && found[name].imports["testing"] != nil }
	for name, f := range found {
		for to, files := range f.imports {
			if ours, ok := strings.CutPrefix(to, module+"/"); ok && isSuite(ours) && !isSuite(name) {
				t.Errorf("%s imports %s (in %s), which imports testing: a suite for tests must not come into a program", name, ours, strings.Join(files, ", "))
			}
		}
	}
}

// covers reports whether one of the space-separated folders is path or, when it ends in "/...", a folder above it.
func covers(folders, path string) bool {
	for f := range strings.FieldsSeq(folders) {
		if above, tree := strings.CutSuffix(f, "/..."); path == above || tree && (above == "" || strings.HasPrefix(path, above+"/")) {
			return true
		}
	}
	return false
}

// TestEveryPackageSaysWhatItPromises fails when a package has no package comment, or one that does not begin as Go's
// tools expect.
func TestEveryPackageSaysWhatItPromises(t *testing.T) {
	for name, f := range source(t) {
		want := "Package " + f.name + " "
		if f.name == "main" {
			want = "Command " + filepath.Base(name) + " "
		}
		if !strings.HasPrefix(f.doc, want) {
			t.Errorf("%s: got package comment %.40q, want one that begins with %q", name, f.doc, want)
		}
	}
}

// inBackquotes finds `folder/` and `folder/file.go` in a page.
var inBackquotes = regexp.MustCompile("`([a-z0-9_.-]+(?:/[a-z0-9_.-]+)*)/?`")

// TestArchitectureNamesWhatExists fails when ARCHITECTURE.md names a folder that does not exist, or a package is
// neither named there nor below one that is.
func TestArchitectureNamesWhatExists(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, "ARCHITECTURE.md"))
	if err != nil {
		t.Fatal(err)
	}
	named, missing := map[string]bool{}, map[string]bool{}
	for _, m := range inBackquotes.FindAllStringSubmatch(string(page), -1) {
		text := strings.Trim(m[0], "`")
		if _, err := os.Stat(filepath.Join(root, m[1])); err == nil {
			named[m[1]] = true
		} else if strings.Contains(text, "/") && !strings.HasPrefix(text, "github.com/") {
			missing[text] = true
		}
	}
	for _, text := range slices.Sorted(maps.Keys(missing)) {
		t.Errorf("ARCHITECTURE.md names %s, which does not exist", text)
	}
	for name := range source(t) {
		ok := false
		for at := name; at != "." && !ok; at = filepath.ToSlash(filepath.Dir(at)) {
			ok = named[at]
		}
		if !ok {
			t.Errorf("ARCHITECTURE.md names neither %s nor a folder above it", name)
		}
	}
}

// TestTimesAreNoNumbers fails when a file makes nanoseconds since 1970 of a time, and no row says what for; and when a
// row speaks of a file that does not.
func TestTimesAreNoNumbers(t *testing.T) {
	numbers := regexp.MustCompile(`\.Unix(Nano|Milli|Micro)\(\)`)
	found := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil || !numbers.Match(text) {
			return err
		}
		rel, err := filepath.Rel(root, path)
		rel = filepath.ToSlash(rel)
		if found[rel] = true; since1970[rel] == "" {
			t.Errorf("%s makes a number of a time: use time.Time, or moment.Last, so that a clock that is put right harms nothing; or say in internal/arch/rows_test.go what it is for", rel)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for rel := range since1970 {
		if !found[rel] {
			t.Errorf("a row of internal/arch/rows_test.go speaks of times in %s, which has none", rel)
		}
	}
}

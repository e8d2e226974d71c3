package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every row names a text that is in its file once: a guard that was rewritten takes its row along.
func TestRowsAreTrue(t *testing.T) {
	names := map[string]bool{}
	for _, g := range tables {
		source, err := os.ReadFile(filepath.Join("../..", filepath.FromSlash(g.file)))
		if err != nil {
			t.Errorf("%s: %v", g.name, err)
			continue
		}
		if n := strings.Count(string(source), g.from); n != 1 {
			t.Errorf("%s, %s: %q is there %d times, want once", g.pkg, g.name, g.from, n)
		}
		if id := g.pkg + g.name; names[id] {
			t.Errorf("%s, %s: a name that is there already", g.pkg, g.name)
		} else {
			names[id] = true
		}
	}
}

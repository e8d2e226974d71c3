package main

import (
	"errors"
	"fmt"
)

// guard is one row of a table.
type guard struct {
	name string // what it holds, in words
	file string // where it is, from the module's folder
	from string // its text, which is in the file once; short, so that it survives a change beside it
	to   string // what is left when it is taken out; the rest still compiles
	pkg  string // the package with the test, as the go command wants it: ./follow
	test string // the test that must miss it, as go test -run wants it
}

func (g guard) String() string { return g.pkg + ": " + g.name }

// wellFormed says which rows cannot be meant as they are written.
func wellFormed(table []guard) error {
	var errs []error
	seen := map[string]bool{}
	for _, g := range table {
		switch {
		case g.name == "" || g.file == "" || g.from == "" || g.pkg == "" || g.test == "":
			errs = append(errs, fmt.Errorf("%s: the row lacks a name, a file, a text, a package or a test", g))
		case g.from == g.to:
			errs = append(errs, fmt.Errorf("%s: the row changes nothing", g))
		case seen[g.String()]:
			errs = append(errs, fmt.Errorf("%s: two rows have this name", g))
		}
		seen[g.String()] = true
	}
	return errors.Join(errs...)
}

// verdict is what came of taking a guard out. All but noticed are bad.
type verdict string

const (
	noticed   verdict = "noticed"
	unnoticed verdict = "NOT NOTICED"
	hangs     verdict = "HANGS" // without the guard the test ends only by its bound, which tells nothing
	textGone  verdict = "TEXT GONE"
	textTwice verdict = "TEXT TWICE"
	noCompile verdict = "DOES NOT COMPILE"
	testFails verdict = "TEST FAILS WITH THE GUARD"
	noTest    verdict = "NO SUCH TEST"
	skipped   verdict = "TEST IS SKIPPED"
	broken    verdict = "BROKEN" // the go command, or a file
)

// widest is the width of the first column; a longer verdict is rare enough to stick out.
const widest = len(noCompile)

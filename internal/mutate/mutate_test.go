package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// odd is a guard that TestOdd misses; the other rows are spoiled copies.
var odd = guard{name: "odd numbers", file: "tiny.go", from: "n%2 != 0", to: "false", pkg: ".", test: "TestOdd"}

// row returns odd with a change.
func row(name string, change func(*guard)) guard {
	g := odd
	change(&g)
	g.name = name
	return g
}

// tiny returns a bench for the module in testdata, and a way to ask whether its files are as they were.
func tiny(t *testing.T) *bench {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("testdata", "tiny"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(root, "tiny.go")
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
			t.Errorf("got a tree that has changed (%v), want it untouched", err)
		}
	})
	return &bench{root: root, bound: time.Minute}
}

func TestVerdicts(t *testing.T) {
	b := tiny(t)
	for _, c := range []struct {
		want verdict
		g    guard
	}{
		{noticed, odd},
		{noticed, row("a panic is a failure", func(g *guard) { g.from, g.test = "n >= 100", "TestPanics" })},
		{unnoticed, row("the wrong test", func(g *guard) { g.test = "TestEven" })},
		{textGone, row("text gone", func(g *guard) { g.from = "n%3 != 0" })},
		{textGone, row("file gone", func(g *guard) { g.file = "large.go" })},
		{textTwice, row("text twice", func(g *guard) { g.from = "return errSmall" })},
		{noCompile, row("does not compile", func(g *guard) { g.to = "maybe" })},
		{testFails, row("fails with the guard", func(g *guard) { g.test = "TestFails" })},
		{noTest, row("no such test", func(g *guard) { g.test = "TestUnknown" })},
		{noTest, row("no such subtest", func(g *guard) { g.test = "TestEven/m" })},
		{skipped, row("skipped", func(g *guard) { g.test = "TestSkipped$" })},
		{skipped, row("skipped inside", func(g *guard) { g.test = "TestSkippedInside" })},
		{noCompile, row("no such package", func(g *guard) { g.pkg = "./none" })},
	} {
		t.Run(c.g.name, func(t *testing.T) {
			if v, detail := b.try(t.Context(), c.g); v != c.want {
				t.Errorf("got %s, want %s\n%s", v, c.want, detail)
			}
		})
	}
}

// A test that only its bound ends says nothing about the guard.
func TestHangIsNotNoticed(t *testing.T) {
	b := tiny(t)
	b.bound = 2 * time.Second
	g := row("closed", func(g *guard) { g.from, g.to, g.test = "!ok", "!ok && false", "TestDrain" })
	if v, detail := b.try(t.Context(), g); v != hangs {
		t.Errorf("got %s, want %s\n%s", v, hangs, detail)
	}
}

// The run says one line for each guard, and ends with an error if one of them is not missed.
func TestRunReports(t *testing.T) {
	for _, c := range []struct {
		guards []guard
		lines  []string
		bad    bool
	}{
		{[]guard{odd}, []string{"noticed"}, false},
		{[]guard{odd, row("gone", func(g *guard) { g.from = "n%3" })}, []string{"noticed", "TEXT GONE"}, true},
	} {
		var out strings.Builder
		err := takeOut(t.Context(), &out, tiny(t), c.guards)
		if bad := err != nil; bad != c.bad {
			t.Errorf("got error %v, want one: %t", err, c.bad)
		}
		for i, want := range c.lines {
			if name := c.guards[i].String(); !strings.Contains(out.String(), want) || strings.Count(out.String(), name+" (") != 1 {
				t.Errorf("got\n%s\nwant %q and one line for %q", &out, want, name)
			}
		}
	}
}

func TestBrokenRows(t *testing.T) {
	for _, c := range []struct {
		why   string
		table []guard
	}{
		{"lacks", []guard{row("no test", func(g *guard) { g.test = "" })}},
		{"changes nothing", []guard{row("no change", func(g *guard) { g.to = g.from })}},
		{"two rows", []guard{odd, odd}},
	} {
		if err := run(t.Context(), new(strings.Builder), c.table, []string{"-list"}); err == nil || !strings.Contains(err.Error(), c.why) {
			t.Errorf("got error %v, want one that says %q", err, c.why)
		}
	}
}

// The product's own tables can be listed, and a choice of them.
func TestList(t *testing.T) {
	var out strings.Builder
	if err := run(t.Context(), &out, tables, []string{"-list"}); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(out.String(), "\n"); got != len(tables) {
		t.Errorf("got %d lines, want one for each of %d guards", got, len(tables))
	}
	if err := run(t.Context(), &out, tables, []string{"-list", "-run", "no guard has this name"}); err == nil {
		t.Error("got no error for a choice of none")
	}
}

// Every guard has its turn, whatever the sizes, and a day's sample is the same all day.
func TestSampleComesRound(t *testing.T) {
	day := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for _, size := range []int{1, 9, 10, 11, 37, 40} {
		table := make([]guard, size)
		for i := range table {
			table[i] = row(strings.Repeat("x", i+1), func(*guard) {})
		}
		seen := map[string]bool{}
		for d := range (size + 9) / 10 {
			today := sampled(table, 10, day.AddDate(0, 0, d))
			if want := min(10, size); len(today) != want {
				t.Errorf("got a sample of %d, want %d", len(today), want)
			}
			if later := sampled(table, 10, day.AddDate(0, 0, d).Add(23*time.Hour)); later[0] != today[0] {
				t.Errorf("got another sample in the evening: %v, want %v", later[0], today[0])
			}
			for _, g := range today {
				seen[g.name] = true
			}
		}
		if len(seen) != size {
			t.Errorf("got %d of %d guards after a round, want all", len(seen), size)
		}
	}
}

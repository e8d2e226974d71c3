package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// bench tries guards of the module in root. Its zero value, but for root and bound, works.
type bench struct {
	root   string
	bound  time.Duration      // of one run of a test
	intact map[string]*result // by package and test: the run with all guards in place
}

// try takes g out and says who noticed; detail is for the reader of a bad verdict.
func (b *bench) try(ctx context.Context, g guard) (v verdict, detail string) {
	path := filepath.Join(b.root, filepath.FromSlash(g.file))
	source, err := os.ReadFile(path)
	if err != nil {
		return textGone, err.Error()
	}
	switch n := strings.Count(string(source), g.from); {
	case n == 0:
		return textGone, fmt.Sprintf("%s does not hold %q", g.file, g.from)
	case n > 1:
		return textTwice, fmt.Sprintf("%s holds %q %d times", g.file, g.from, n)
	}
	with, err := b.unchanged(ctx, g)
	if err != nil {
		return broken, err.Error()
	}
	if v := with.ran(); v != "" {
		return v, with.output
	}
	without, err := b.changed(ctx, g, path, strings.Replace(string(source), g.from, g.to, 1))
	if err != nil {
		return broken, err.Error()
	}
	return without.missed(), without.output
}

// unchanged runs g's test with all guards in place, once for all guards that name the same test.
func (b *bench) unchanged(ctx context.Context, g guard) (*result, error) {
	key := g.pkg + " " + g.test
	if r := b.intact[key]; r != nil {
		return r, nil
	}
	r, err := b.goTest(ctx, g, os.Getenv("GOFLAGS"))
	if err != nil {
		return nil, err
	}
	if b.intact == nil {
		b.intact = map[string]*result{}
	}
	b.intact[key] = r
	return r, nil
}

// changed runs g's test with source in the place of the file at path. The overlay is a flag of every go command, so
// that a program that the test builds has it too.
func (b *bench) changed(ctx context.Context, g guard, path, source string) (*result, error) {
	dir, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	copied, overlay := filepath.Join(dir, filepath.Base(path)), filepath.Join(dir, "overlay.json")
	text, err := json.Marshal(map[string]map[string]string{"Replace": {path: copied}})
	if err != nil {
		return nil, err
	}
	if err := errors.Join(os.WriteFile(copied, []byte(source), 0o600), os.WriteFile(overlay, text, 0o600)); err != nil {
		return nil, err
	}
	return b.goTest(ctx, g, os.Getenv("GOFLAGS")+" '-overlay="+overlay+"'")
}

// result is what one go test said.
type result struct {
	passed   bool // go test as a whole
	built    bool
	timedOut bool
	pass     bool // a test without subtests of its own passed; a test with subtests passes even when all of them are skipped
	skip     bool // one was skipped
	fail     bool // a test failed
	output   string
}

// goTest runs g's test. A failing test is a result, not an error.
func (b *bench) goTest(ctx context.Context, g guard, goflags string) (*result, error) {
	cmd := exec.CommandContext(ctx, "go", "test", "-json", "-vet=off", "-count=1", "-timeout", b.bound.String(), "-run", g.test, g.pkg)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.Dir, cmd.Env = b.root, append(os.Environ(), "GOFLAGS="+strings.TrimSpace(goflags))
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return nil, fmt.Errorf("run go test: %w", err)
	}
	r, err2 := read(&stdout)
	if err2 != nil {
		return nil, fmt.Errorf("read what go test says: %w\n%s", err2, &stderr)
	}
	r.passed = err == nil
	r.output += stderr.String()
	return r, nil
}

// event is a line of go test -json.
type event struct{ Action, Test, Output string }

// read makes a result of the lines of go test -json.
func read(lines *bytes.Buffer) (*result, error) {
	r := &result{built: true}
	parents := map[string]bool{}
	var ended []event
	var text strings.Builder
	for dec := json.NewDecoder(lines); dec.More(); {
		var e event
		if err := dec.Decode(&e); err != nil {
			return nil, err
		}
		if i := strings.LastIndexByte(e.Test, '/'); i > 0 {
			parents[e.Test[:i]] = true
		}
		switch e.Action {
		case "output", "build-output":
			text.WriteString(e.Output)
			r.timedOut = r.timedOut || strings.HasPrefix(e.Output, "panic: test timed out after ")
		case "build-fail":
			r.built = false
		case "pass", "skip", "fail":
			ended = append(ended, e)
		}
	}
	for _, e := range ended {
		if e.Test == "" {
			continue // the package
		}
		leaf := !parents[e.Test]
		r.pass = r.pass || leaf && e.Action == "pass"
		r.skip = r.skip || leaf && e.Action == "skip"
		r.fail = r.fail || e.Action == "fail"
	}
	r.output = tail(text.String(), 30)
	if strings.Contains(r.output, "testing: warning: no tests to run") {
		r.pass = false // a parent ran, and none of its subtests has the name
	}
	return r, nil
}

// ran says what is wrong with a run with the guard, or nothing.
func (r *result) ran() verdict {
	switch {
	case !r.built:
		return noCompile
	case !r.passed:
		return testFails
	case r.pass:
		return ""
	case r.skip:
		return skipped
	}
	return noTest
}

// missed says what a run without the guard showed.
func (r *result) missed() verdict {
	switch {
	case !r.built:
		return noCompile
	case r.timedOut:
		return hangs
	case r.fail:
		return noticed
	case r.passed:
		return unnoticed
	}
	return broken
}

// tail returns the last n lines of text.
func tail(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

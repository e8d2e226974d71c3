package main

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/testscript"

	"headrace/devnet/geth/gethtest"
	"headrace/internal/nettest"
)

// walks are the sections of pages whose shell commands are run, each with what the output must say. A page of tasks is run
// whole.
var walks = map[string][]string{
	"README.md#three-processes":                 {`"result":"reached"`},
	"README.md#on-an-ethereum-l1":               {`"result":"reached"`, `(?m)^queue +0 forced items`},
	"README.md#send-and-wait":                   {`(?m)^  "result": "reached"`, `"result":"reached","for":"transaction`, `(?m)^  "head": "(safe|finalized)"`},
	"docs/ETHEREUM.md#with-an-execution-client": {`"for":"proposal 3"(.|\n)*"for":"proposal 3"`},
	"docs/tasks/back-up.md":                     {`(?m)^node +ok|ok +store`, `(?s)"result":"reached".*"result":"reached".*"result":"reached"`},
	"docs/tasks/force.md":                       {`(?m)^queue +1 forced items`, `(?m) 1 txs +safe$`, `"value": "blue"`},
	"docs/tasks/full-node.md":                   {`"for":"readiness"`, `(?m)^the same block$`},
	"docs/tasks/index-blocks.md":                {`(?m)^1 2 3 4 5 6$`, `(?m)^data: \{"height":3,`, `(?m)"next":\s*4`},
	"docs/tasks/move-ev-node.md":                {`(?m)^the same block$`, `(?s)"result":"reached".*signer.json.*"result":"reached"`},
	"docs/tasks/replica.md":                     {`(?m)^the same block$`, `(?m)^chain +three, replica node`, `(?m)^id: 3-`},
	"docs/tasks/sequencer.md":                   {`(?m) 1 txs +safe$`, `"value": "blue"`},
	"docs/tasks/wait-in-ci.md":                  {`(?m)^run the tests now$`, `timed out after 1s`, `"result": "reached"`, `"for":"transaction 0x`, `"value": "blue"`, `"for":\s*"safe height 6"`},
	"docs/tasks/watch.md":                       {`(?m)^headrace_ready 1$`, `(?m)^headrace_da_head_height \d+$`, `(?m)^goroutine profile: total \d+$`},
}

// section is what a page has below the heading that a link such as docs/PAGE.md#heading leads to; all, without a heading.
func section(t *testing.T, of string) string {
	t.Helper()
	file, anchor, part := strings.Cut(of, "#")
	raw, err := os.ReadFile(filepath.Join("../..", file))
	if err != nil {
		t.Fatal(err)
	}
	if !part {
		return string(raw)
	}
	parts := headings.FindAllStringIndex(string(raw), -1)
	for i, at := range parts {
		if anchorOf(string(raw[at[0]:at[1]])) != anchor {
			continue
		}
		if i+1 < len(parts) {
			return string(raw[at[1]:parts[i+1][0]])
		}
		return string(raw[at[1]:])
	}
	t.Fatalf("%s has no such heading", of)
	return ""
}

var headings = regexp.MustCompile(`(?m)^##+ .*$`)

// anchorOf is what a link to a heading ends with.
func anchorOf(heading string) string {
	kept := regexp.MustCompile("[^a-z0-9_ -]").ReplaceAllString(strings.ToLower(strings.TrimLeft(heading, "# ")), "")
	return strings.ReplaceAll(kept, " ", "-")
}

// shells are the blocks of shell commands in a text.
func shells(text string) (blocks []string) {
	for _, b := range regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllStringSubmatch(text, -1) {
		blocks = append(blocks, b[1])
	}
	return blocks
}

var (
	before   = regexp.MustCompile(`(?m)^Before: [^\n]*(?:\n[^\n]+)*?\]\(([^)]+)\)`)
	allStops = regexp.MustCompile(`(?m)^kill \$\(jobs -p\).*\n`)
)

// commandsOf are the commands of a walk-through, behind those of what it says has to run before.
func commandsOf(t *testing.T, of string) string {
	t.Helper()
	text, script := section(t, of), ""
	if m := before.FindStringSubmatch(text); m != nil {
		file, _, _ := strings.Cut(of, "#")
		script = allStops.ReplaceAllString(commandsOf(t, filepath.Join(filepath.Dir(file), m[1])), "")
	}
	return script + strings.Join(shells(text), "")
}

// ports are those that walk-throughs name.
var ports = regexp.MustCompile(`\b(73[3-9]\d|2666\d|8[5-8]\d\d)\b`)

// elsewhere has a script use ports and folders of the test's own.
func elsewhere(t *testing.T, script, dir string) string {
	t.Helper()
	free := map[string]string{}
	script = ports.ReplaceAllStringFunc(script, func(port string) string {
		if free[port] == "" {
			_, free[port], _ = strings.Cut(nettest.FreeAddress(t), ":")
		}
		return free[port]
	})
	if binary := ""; strings.Contains(script, "/tmp/geth ") {
		binary = gethtest.Binary(t) // or skip, with the reason
		writeFile(t, dir, "geth", fmt.Sprintf("#!/bin/sh\ncase \" $* \" in *\" --dev \"*) set -- \"$@\" --http.port %s --ws.port %s --authrpc.port 0;; esac\nexec %s \"$@\"\n",
			free["8545"], free["8546"], binary))
		if err := os.Chmod(filepath.Join(dir, "geth"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	script = regexp.MustCompile(`(?m)^go (install|build) .*\n`).ReplaceAllString(script, "") // both are there
	return strings.ReplaceAll(script, "/tmp/", dir+"/")
}

// fatal are the lines with which a program of a walk-through ends. They are shown once more, behind all else.
var fatal = regexp.MustCompile(`(?m)^(Fatal|panic|fatal error): .*$`)

// TestPagesRun runs the walk-throughs of README and docs as they are written, but for their ports and folders.
func TestPagesRun(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("no bash on this machine: ", err)
	}
	for _, of := range slices.Sorted(maps.Keys(walks)) {
		t.Run(strings.NewReplacer("/", "-", "#", "-").Replace(of), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			script := "set -e\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n" + elsewhere(t, commandsOf(t, of), dir) + "wait\necho stopped\n"
			testscript.Run(t, testscript.Params{
				Files:               []string{writeFile(t, dir, "walk.txt", "walk\n")},
				RequireExplicitExec: true,
				Cmds: map[string]func(*testscript.TestScript, bool, []string){"walk": func(ts *testscript.TestScript, _ bool, _ []string) {
					out, err := command(ts, []string{"bash", writeFile(t, dir, "walk.sh", script)}).CombinedOutput()
					if err != nil || !strings.HasSuffix(string(out), "stopped\n") {
						ts.Fatalf("%v: %s\n%s", err, out, strings.Join(fatal.FindAllString(string(out), -1), "\n"))
					}
					for _, want := range walks[of] {
						if !regexp.MustCompile(want).Match(out) {
							ts.Fatalf("nothing matches %s in\n%s", want, out)
						}
					}
				}},
			})
		})
	}
}

// pages are all that is written in Markdown, from the module's folder.
func pages(t *testing.T) (all []string) {
	t.Helper()
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || d.Name() == ".git"):
			return filepath.SkipDir
		case filepath.Ext(path) == ".md":
			all = append(all, strings.TrimPrefix(path, "../../"))
		}
		return nil
	})
	if err != nil || len(all) < 20 {
		t.Fatalf("got %d pages, %v", len(all), err)
	}
	return all
}

var (
	inline   = regexp.MustCompile("`(headrace [^`]+)`")
	commands = regexp.MustCompile(`(?m)(?:^|[ (!])headrace ((?:[^\n|&;#)]|\$\()+)`)
)

// TestPagesNameWhatIsThere: each command that a page names is one of the program, with flags that it has; and each link
// leads to a file that is there, and a heading in it.
func TestPagesNameWhatIsThere(t *testing.T) {
	root := newRoot()
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	named := 0
	for _, page := range pages(t) {
		text := section(t, page)
		lines := strings.ReplaceAll(strings.Join(shells(text), ""), "\\\n", " ")
		for _, m := range inline.FindAllStringSubmatch(text, -1) {
			lines += strings.ReplaceAll(m[1], "\n", " ") + "\n"
		}
		for _, m := range commands.FindAllStringSubmatch(lines, -1) {
			named++
			words := strings.Fields(m[1])
			c, rest, err := root.Find(words)
			if err != nil || c == root || c.HasSubCommands() && len(rest) > 0 && !strings.HasPrefix(rest[0], "-") {
				t.Errorf("%s: there is no command headrace %s", page, m[1])
				continue
			}
			c.InitDefaultHelpFlag()
			if end := slices.Index(words, "--"); end >= 0 { // what follows is another program's
				words = words[:end]
			}
			for _, word := range words {
				name, _, _ := strings.Cut(strings.TrimPrefix(word, "--"), "=")
				if strings.HasPrefix(word, "--") && c.Flags().Lookup(name) == nil {
					t.Errorf("%s: %s has no flag --%s: %s", page, c.CommandPath(), name, m[1])
				}
			}
		}
		for _, m := range regexp.MustCompile(`\]\(([^)\s]+)\)`).FindAllStringSubmatch(text, -1) {
			to, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(to, ":") {
				continue // of another host
			}
			file := page
			if to != "" {
				file = filepath.Join(filepath.Dir(page), to)
			}
			if _, err := os.Stat(filepath.Join("../..", file)); err != nil {
				t.Errorf("%s: %v", page, err)
			} else if anchor != "" {
				section(t, file+"#"+anchor)
			}
		}
	}
	if named < 100 {
		t.Errorf("got %d commands in all pages: they are not found", named)
	}
}

// TestTasksAreThere: each page of tasks is run, and docs/README.md leads to each page.
func TestTasksAreThere(t *testing.T) {
	list := section(t, "docs/README.md")
	for _, page := range pages(t) {
		name, ok := strings.CutPrefix(page, "docs/")
		if !ok || name == "README.md" {
			continue
		}
		if !strings.Contains(list, "]("+name) {
			t.Errorf("docs/README.md does not lead to %s", page)
		}
		if _, run := walks[page]; !run && strings.HasPrefix(name, "tasks/") {
			t.Errorf("nothing runs %s", page)
		}
		if strings.HasPrefix(name, "tasks/") {
			for line := range strings.Lines(section(t, page)) {
				if utf8.RuneCountInString(line) > columns+1 {
					t.Errorf("%s: more than %d columns: %s", page, columns, line)
				}
			}
		}
	}
}

package main

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/testscript"

	"headrace/internal/nettest"
)

func readme(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// shells are the blocks of shell commands in a text.
func shells(text string) (blocks []string) {
	for _, b := range regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllStringSubmatch(text, -1) {
		blocks = append(blocks, b[1])
	}
	return blocks
}

// TestReadmeFits: README can be read in a terminal, as it is.
func TestReadmeFits(t *testing.T) {
	n := 0
	for line := range strings.Lines(readme(t)) {
		n++
		if got := utf8.RuneCountInString(strings.TrimRight(line, "\n")); got > columns {
			t.Errorf("line %d: %d columns, want %d at most: %s", n, got, columns, line)
		}
	}
}

// listens are the addresses at which something of a walk-through listens.
var listens = regexp.MustCompile(`--(?:listen|http\.address) (127\.0\.0\.1:\d+)`)

// TestWalkThroughsStayApart: who follows one walk-through after the other, or beside it, finds no port and no home taken,
// and each says how it is stopped.
func TestWalkThroughsStayApart(t *testing.T) {
	by := map[string]int{}
	for _, address := range devAddresses(2) {
		by[address] = -1
	}
	walks := 0
	for i, block := range shells(readme(t)) {
		if !strings.Contains(block, "headrace start") {
			continue
		}
		walks++
		used := listens.FindAllStringSubmatch(block, -1)
		for _, m := range append(used, regexp.MustCompile(`--home (\S+) --(?:sequencer|genesis)|--chain-id (\S+)`).FindAllStringSubmatch(block, -1)...) {
			name := m[len(m)-1]
			if name == "" {
				name = m[1]
			}
			if other, taken := by[name]; taken && other != i {
				t.Errorf("%s is used twice", name)
			}
			by[name] = i
		}
		if len(used) < 2 || !strings.Contains(block, "--chain-id") || !strings.Contains(block, "\nkill ") {
			t.Errorf("a walk-through lacks addresses, a chain id, or the line that stops it:\n%s", block)
		}
	}
	if walks != 2 {
		t.Errorf("got %d walk-throughs, want that over a DA layer and that over an L1", walks)
	}
}

// TestReadmeRuns runs the walk-through over a DA layer as it is, but for its ports and the folder of its homes: they are
// the test's own.
func TestReadmeRuns(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("no bash on this machine: ", err)
	}
	_, text, found := strings.Cut(readme(t), "## Three processes")
	if !found {
		t.Fatal("README has no such walk-through")
	}
	script := strings.Replace(shells(text)[0], "go install ./cmd/headrace\n", "", 1)
	ports := map[string]bool{}
	for _, m := range listens.FindAllStringSubmatch(script, -1) {
		ports[m[1]] = true
	}
	for address := range ports {
		script = strings.ReplaceAll(script, address, nettest.FreeAddress(t))
	}
	dir := t.TempDir()
	script = "set -e\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n" + strings.ReplaceAll(script, "/tmp/", dir+"/")
	testscript.Run(t, testscript.Params{
		Files:               []string{writeFile(t, dir, "walk.txt", "walk\n")},
		RequireExplicitExec: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"walk": func(ts *testscript.TestScript, _ bool, _ []string) {
			cmd := command(ts, []string{"bash", writeFile(t, dir, "walk.sh", script+"wait\necho stopped\n")})
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), `"result"`) || !strings.HasSuffix(string(out), "stopped\n") {
				ts.Fatalf("%v: %s", err, out)
			}
		}},
	})
}

func writeFile(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := dir + "/" + name
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

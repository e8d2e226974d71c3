package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

func readme(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
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
	by := map[string]string{}
	for _, address := range devAddresses(2) {
		by[address] = "headrace dev"
	}
	made := regexp.MustCompile(`init --home (\S+) (?:--(?:sequencer|genesis)|\$THEIRS)|--chain-id (\S+)`)
	for of := range walks {
		text := section(t, of)
		script := strings.Join(shells(text), "")
		used := listens.FindAllStringSubmatch(script, -1)
		for _, m := range append(used, made.FindAllStringSubmatch(script, -1)...) {
			name := m[len(m)-1]
			if name == "" {
				name = m[1]
			}
			if other, taken := by[name]; taken && other != of {
				t.Errorf("%s is used twice, by %s and %s", name, of, other)
			}
			by[name] = of
		}
		if strings.Count(script, "kill $(jobs -p)") != 1 {
			t.Errorf("%s lacks the line that stops it:\n%s", of, script)
		}
		if !before.MatchString(text) && (len(used) < 2 || !strings.Contains(script, "--chain-id")) {
			t.Errorf("%s begins with nothing, and lacks addresses or a chain id:\n%s", of, script)
		}
	}
}

func writeFile(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := dir + "/" + name
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

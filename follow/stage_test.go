package follow_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"headrace/follow"
)

// The words of /v1/status and of the logs, in the order of the stages: every stage has one of its own, and there is
// no other.
func TestStages(t *testing.T) {
	words := strings.Fields("subscribe fetch apply revert check engine replay derive clock root execute prove produce submit head catch-up chain post endpoint source unsafe disk stream")
	if last := follow.Stage(len(words)); last != follow.StageStream || len(follow.Stages()) != len(words) {
		t.Errorf("there are %d words, and %v is stage %d", len(words), follow.StageStream, follow.StageStream)
	}
	seen := map[string]bool{}
	for i, word := range append([]string{""}, words...) {
		stage := follow.Stage(i)
		raw, err := json.Marshal(stage)
		var back follow.Stage
		if err == nil {
			err = json.Unmarshal(raw, &back)
		}
		if string(raw) != fmt.Sprintf("%q", word) || stage.String() != word || back != stage || err != nil || seen[word] {
			t.Errorf("stage %d is %s, %q and read back %d, %v; want the word %q, once", i, raw, stage, back, err, word)
		}
		seen[word] = true
	}
	for _, word := range []string{"Fetch", "waiting", "stage 24"} {
		if stage := new(follow.Stage); stage.UnmarshalText([]byte(word)) == nil {
			t.Errorf("%q is read as stage %d, want an error", word, *stage)
		}
	}
	if beyond := follow.Stage(len(words) + 1); seen[beyond.String()] || beyond.String() == "" {
		t.Errorf("stage %d is %q, want no word of a stage", beyond, beyond)
	}
}

// Every stage says what it means and what to do, and the document says the same, in the same order, and nothing else.
func TestStagesAreExplained(t *testing.T) {
	text, err := os.ReadFile("../docs/READINESS.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rows, _ := strings.Cut(string(text), "|---|---|---|\n")
	rows, _, _ = strings.Cut(rows, "\n\n")
	var want []string
	for _, s := range follow.Stages() {
		if s.Means() == "" || s.Remedy() == "" {
			t.Errorf("stage %s does not say what it means, or what to do", s)
		}
		want = append(want, fmt.Sprintf("| `%s` | %s | %s |", s, s.Means(), s.Remedy()))
	}
	if got := strings.Split(rows, "\n"); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("docs/READINESS.md has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

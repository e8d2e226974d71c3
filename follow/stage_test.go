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

// Every stage says what it means and what to do, and the document says the same, in the same order, and nothing else:
// first of all, and then of those of which something else is said at a replica.
func TestStagesAreExplained(t *testing.T) {
	text, err := os.ReadFile("../docs/READINESS.md")
	if err != nil {
		t.Fatal(err)
	}
	var all, others []string
	for _, s := range follow.Stages() {
		if s.Means() == "" || s.Remedy() == "" {
			t.Errorf("stage %s does not say what it means, or what to do", s)
		}
		all = append(all, fmt.Sprintf("| `%s` | %s | %s |", s, s.Means(), s.Remedy()))
		means, remedy := s.AtReplica()
		if means == s.Means() && remedy == s.Remedy() {
			continue
		}
		if remedy == s.Remedy() || !strings.Contains(means+remedy, "source.node") || strings.Contains(means+remedy, "endpoint") || strings.Contains(remedy, "da.") {
			t.Errorf("stage %s says to a replica %q, %q: want it to speak of source.node", s, means, remedy)
		}
		others = append(others, fmt.Sprintf("| `%s` | %s | %s |", s, means, remedy))
	}
	rest := string(text)
	for _, want := range [][]string{all, others} {
		var rows string
		_, rest, _ = strings.Cut(rest, "|---|---|---|\n")
		rows, rest, _ = strings.Cut(rest, "\n\n")
		if rows != strings.Join(want, "\n") {
			t.Errorf("docs/READINESS.md has\n%s\nwant\n%s", rows, strings.Join(want, "\n"))
		}
	}
	if means, remedy := follow.Stage(0).AtReplica(); means+remedy != "" {
		t.Errorf("no stage says %q, %q", means, remedy)
	}
}

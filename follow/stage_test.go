package follow_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"headrace/follow"
)

// The words of /v1/status and of the logs, in the order of the stages: every stage has one of its own, and there is
// no other.
func TestStages(t *testing.T) {
	words := strings.Fields("subscribe fetch apply revert check engine replay derive clock root execute prove produce submit")
	if last := follow.Stage(len(words)); last != follow.StageSubmit {
		t.Errorf("there are %d words, and %v is stage %d", len(words), follow.StageSubmit, follow.StageSubmit)
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
	for _, word := range []string{"Fetch", "waiting", "stage 15"} {
		if stage := new(follow.Stage); stage.UnmarshalText([]byte(word)) == nil {
			t.Errorf("%q is read as stage %d, want an error", word, *stage)
		}
	}
	if beyond := follow.Stage(len(words) + 1); seen[beyond.String()] || beyond.String() == "" {
		t.Errorf("stage %d is %q, want no word of a stage", beyond, beyond)
	}
}

package square_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// frame is one file of testdata/frames: what was said to and by a celestia-node v0.32.1.
type frame struct {
	Label  string
	Frames []struct {
		Dir string
		Raw string
	}
}

// result returns the result of the only answer in a frame file, byte for byte.
func result(t testing.TB, number string) json.RawMessage {
	t.Helper()
	answers := received(t, number)
	if len(answers) != 1 {
		t.Fatalf("frame %s: got %d answers, want 1", number, len(answers))
	}
	var answer struct{ Result json.RawMessage }
	if err := json.Unmarshal([]byte(answers[0]), &answer); err != nil {
		t.Fatal(err)
	}
	return answer.Result
}

// received returns what the node said in a frame file.
func received(t testing.TB, number string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("testdata", "frames", number+"-*.json"))
	if err != nil || len(names) != 1 {
		t.Fatalf("frame %s: %v, %v", number, names, err)
	}
	data, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	var f frame
	if err := json.Unmarshal(data, &f); err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, m := range f.Frames {
		if m.Dir == "recv" {
			out = append(out, strings.TrimSuffix(m.Raw, "\n"))
		}
	}
	return out
}

func unmarshal[T any](t testing.TB, data []byte) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatalf("unmarshal %T: %v", v, err)
	}
	return v
}

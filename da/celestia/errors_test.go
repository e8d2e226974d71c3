package celestia

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"headrace/da"
	"headrace/internal/jsonrpc"
)

// answers returns the error answers in a captured frame.
func answers(t *testing.T, number string) []*jsonrpc.Error {
	t.Helper()
	paths, err := filepath.Glob("testdata/frames/" + number + "-*.json")
	if err != nil || len(paths) != 1 {
		t.Fatalf("frame %s: %v, %v", number, paths, err)
	}
	data, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	var f struct {
		Frames []struct {
			Raw string `json:"raw"`
		} `json:"frames"`
	}
	if err := json.Unmarshal(data, &f); err != nil {
		t.Fatal(err)
	}
	var out []*jsonrpc.Error
	for _, m := range f.Frames {
		var answer struct {
			Error *jsonrpc.Error `json:"error"`
		}
		if json.Unmarshal([]byte(m.Raw), &answer) == nil && answer.Error != nil {
			out = append(out, answer.Error)
		}
	}
	return out
}

// TestErrorTable: each row's frame shows an error that the row makes of its kind.
func TestErrorTable(t *testing.T) {
	for _, row := range texts {
		if row.frame == "source" {
			continue
		}
		for _, number := range strings.Split(row.frame, ", ") {
			found := answers(t, number)
			if len(found) == 0 {
				t.Errorf("frame %s has no error", number)
			}
			for _, e := range found {
				if err := classify(fmt.Errorf("around: %w", e)); !errors.Is(err, row.kind) {
					t.Errorf("frame %s: %v is not %v", number, err, row.kind)
				}
			}
		}
	}
	for number, want := range map[string]error{"100": da.ErrTooBig, "024": errNoSocket} {
		for _, e := range answers(t, number) {
			if err := classify(e); !errors.Is(err, want) {
				t.Errorf("frame %s: %v is not %v", number, err, want)
			}
		}
	}
	for _, number := range []string{"027", "028", "030", "031", "032", "084", "085"} { // not understood, and so not posted
		for _, e := range answers(t, number) {
			err := submitError(e)
			if want := da.ErrRejected; number == "027" {
				want = da.ErrUnknownOutcome // it panicked: who knows how far it got
				if !errors.Is(err, want) {
					t.Errorf("frame %s: %v is not %v", number, err, want)
				}
			} else if !errors.Is(err, want) {
				t.Errorf("frame %s: %v is not %v", number, err, want)
			}
		}
	}
}

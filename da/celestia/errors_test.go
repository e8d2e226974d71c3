package celestia

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
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
		switch row.frame {
		case "source":
			continue
		case "calls.txt":
			if n := classified(t, row.prefix, row.kind); n == 0 {
				t.Errorf("%q: no call of the record has this text", row.prefix)
			}
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

// classified looks for answers in testdata/calls.txt whose text begins with prefix, and returns how many there are. Each
// must be of a kind.
func classified(t *testing.T, prefix string, kind error) (n int) {
	t.Helper()
	for _, e := range recorded(t, "") {
		if !strings.HasPrefix(e.Message, prefix) {
			continue
		}
		n++
		if err := classify(e); !errors.Is(err, kind) {
			t.Errorf("%q is %v, want %v", e.Message, err, kind)
		}
	}
	return n
}

// recorded returns the errors in testdata/calls.txt that calls of a method were answered with; "" is any.
func recorded(t *testing.T, method string) (out []*jsonrpc.Error) {
	t.Helper()
	data, err := os.ReadFile("testdata/calls.txt")
	if err != nil {
		t.Fatal(err)
	}
	answer := regexp.MustCompile(`^   \d+ \S+ keys=\[error id jsonrpc\] id=\S+ code=(-?\d+) (.*)$`)
	call := ""
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSuffix(line, "\n")
		if !strings.HasPrefix(line, " ") {
			call = line
		} else if m := answer.FindStringSubmatch(line); m != nil && strings.HasPrefix(call, method) {
			code, err := strconv.Atoi(m[1])
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, &jsonrpc.Error{Code: code, Message: m[2]})
		}
	}
	return out
}

// TestRecordedRefusals: whatever a real node has refused of a submission is known to be refused, but for a panic. What is
// not known would be looked for, and posted again, for ever.
func TestRecordedRefusals(t *testing.T) {
	found := recorded(t, "blob.Submit ")
	if len(found) < 12 {
		t.Fatalf("%d refusals are recorded, want 12", len(found))
	}
	for _, e := range found {
		if err := submitError(e); errors.Is(err, da.ErrUnknownOutcome) != (e.Code == jsonrpc.CodePanic) {
			t.Errorf("code %d, %q is %v", e.Code, e.Message, err)
		}
	}
}

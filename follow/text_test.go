package follow_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"headrace/follow"
)

// TestHashTextsStay: these texts leave the process, in JSON, logs and messages. Others read them, so they stay.
func TestHashTextsStay(t *testing.T) {
	h := follow.Hash{0xab, 1, 31: 0xcd}
	const text = "ab010000000000000000000000000000000000000000000000000000000000cd"
	got, err := json.Marshal(follow.Ref{Height: 7, Hash: h})
	if want := `{"height":7,"hash":"` + text + `"}`; err != nil || string(got) != want {
		t.Errorf("got %s (%v), want %s", got, err, want)
	}
	if got := fmt.Sprintf("%s %v %v", h, h, follow.Ref{Height: 7, Hash: h}); got != text+" "+text+" {7 "+text+"}" {
		t.Errorf("got %s", got)
	}
}

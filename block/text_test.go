package block_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"headrace/block"
)

// TestHashTextsStay: these texts leave the process, in JSON, logs, messages and on disk. Others read them, so they
// stay.
func TestHashTextsStay(t *testing.T) {
	h := block.Hash{0xab, 1, 31: 0xcd}
	const text = "ab010000000000000000000000000000000000000000000000000000000000cd"
	for _, c := range []struct {
		what string
		of   any
		want string
	}{
		{"hash", h, `"` + text + `"`},
		{"no hash", block.Hash{}, `"0000000000000000000000000000000000000000000000000000000000000000"`},
		{"reference", block.Ref{Height: 7, Hash: h}, `{"height":7,"hash":"` + text + `"}`},
		{"key of a map", map[block.Hash]int{h: 1}, `{"` + text + `":1}`},
	} {
		if got, err := json.Marshal(c.of); err != nil || string(got) != c.want {
			t.Errorf("%s: got %s (%v), want %s", c.what, got, err, c.want)
		}
	}
	if got := fmt.Sprintf("%s %v %v", h, h, block.Ref{Height: 7, Hash: h}); got != text+" "+text+" {7 "+text+"}" {
		t.Errorf("got %s", got)
	}
}

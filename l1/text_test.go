package l1_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"headrace/l1"
)

// TestTextsStay: these texts leave the process, in JSON and messages. Others read them, so they stay, 0x included.
func TestTextsStay(t *testing.T) {
	h := l1.Hash{0xab, 1, 31: 0xcd}
	const text = "0xab010000000000000000000000000000000000000000000000000000000000cd"
	b := l1.Block{Number: 7, Hash: h}
	for _, c := range []struct {
		what string
		of   any
		want string
	}{
		{"hash", h, `"` + text + `"`},
		{"no hash", l1.Hash{}, `"0x0000000000000000000000000000000000000000000000000000000000000000"`},
		{"reference", b.Ref(), `{"number":7,"hash":"` + text + `"}`},
		{"field", struct {
			At *l1.Ref `json:"at"`
			Tx l1.Hash `json:"tx"`
		}{new(b.Ref()), h}, `{"at":{"number":7,"hash":"` + text + `"},"tx":"` + text + `"}`},
		{"inclusion", l1.Inclusion{ID: 1, Block: b.Ref(), Tx: h, LogIndex: 2}, `{"ID":1,"Block":{"number":7,"hash":"` + text + `"},"Tx":"` + text + `","LogIndex":2}`},
		{"address", l1.Address{0xab, 19: 1}, `"0xab00000000000000000000000000000000000001"`},
	} {
		if got, err := json.Marshal(c.of); err != nil || string(got) != c.want {
			t.Errorf("%s: got %s (%v), want %s", c.what, got, err, c.want)
		}
	}
	if got := fmt.Sprintf("%s %v", h, h); got != text+" "+text {
		t.Errorf("got %s", got)
	}
}

// What is written is read again, and so is a hash without 0x.
func TestTextsAreRead(t *testing.T) {
	want := (&l1.Block{Number: 7, Hash: l1.Hash{0xab, 1, 31: 0xcd}}).Ref()
	const digits = "ab010000000000000000000000000000000000000000000000000000000000cd"
	for _, form := range []string{digits, "0x" + digits, "0x" + strings.ToUpper(digits)} {
		var got struct {
			At l1.Ref
			Tx l1.Hash
		}
		if err := json.Unmarshal([]byte(`{"At":{"number":7,"hash":"`+form+`"},"Tx":"`+form+`"}`), &got); err != nil || got.At != want || got.Tx != l1.Hash(want.Hash) {
			t.Errorf("%s: got %v (%v), want %v", form, got, err, want)
		}
	}
	for _, bad := range []string{`{"number":7,"hash":"0xab"}`, `{"number":-1}`, `[]`} {
		if got := new(l1.Ref); json.Unmarshal([]byte(bad), got) == nil {
			t.Errorf("%s: got %v, want an error", bad, got)
		}
	}
}

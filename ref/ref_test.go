package ref_test

import (
	"encoding/json"
	"strings"
	"testing"

	"headrace/ref"
)

const text = "ab010000000000000000000000000000000000000000000000000000000000cd"

var hash = ref.Hash{0xab, 1, 31: 0xcd}

// A hash is read with and without 0x, in either case, and written in one way.
func TestHashIsReadInBothForms(t *testing.T) {
	for _, form := range []string{text, "0x" + text, strings.ToUpper(text), "0x" + strings.ToUpper(text), "0X" + strings.ToUpper(text)} {
		var r ref.Ref
		if err := json.Unmarshal([]byte(`{"height":7,"hash":"`+form+`"}`), &r); err != nil || r != (ref.Ref{Height: 7, Hash: hash}) {
			t.Errorf("%s: got %v (%v), want %v", form, r, err, hash)
		}
		if got, err := json.Marshal(r); err != nil || string(got) != `{"height":7,"hash":"`+text+`"}` {
			t.Errorf("%s: got %s (%v) when it is written again", form, got, err)
		}
	}
}

// What is no hash is refused, with what it is, and changes nothing.
func TestHashRefuses(t *testing.T) {
	for _, bad := range []string{"", "0x", "ab", text[1:], text[2:], text + "0", text + "00", "0x" + text[2:], "00" + "0x" + text, "0x0x" + text[4:], "0x0x" + text, " " + text, "-" + text[1:],
		strings.Repeat("g", 64), text[:63] + "g", strings.Repeat(text, 2)} {
		got := hash
		err := got.UnmarshalText([]byte(bad))
		if err == nil || !strings.Contains(err.Error(), "is not 64 hexadecimal digits") || !strings.Contains(err.Error(), bad) {
			t.Errorf("%q: got %v, want an error that says what it is", bad, err)
		}
		if got != hash {
			t.Errorf("%q: got %v afterwards, want it unchanged", bad, got)
		}
	}
}

func FuzzHash(f *testing.F) {
	f.Add(text)
	f.Add("0X" + text)
	f.Fuzz(func(t *testing.T, s string) {
		var h ref.Hash
		if h.UnmarshalText([]byte(s)) != nil {
			return
		}
		if digits := strings.TrimPrefix(strings.ToLower(s), "0x"); digits != h.String() {
			t.Errorf("%q: got %s", s, h)
		}
	})
}

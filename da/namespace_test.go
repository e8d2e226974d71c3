package da_test

import (
	"errors"
	"strings"
	"testing"

	"headrace/da"
)

// TestNamespaceOf: digits are a namespace, a name is the one of its name, and what may have been meant as digits is
// neither.
func TestNamespaceOf(t *testing.T) {
	t.Parallel()
	digits := "00" + strings.Repeat("00", 18) + "0102030405060708090a"
	want, err := da.ParseNamespace(digits)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{digits, "0x" + digits, "0X" + digits, "0x" + strings.ToUpper(digits), strings.ToUpper(digits)} {
		if got, err := da.NamespaceOf(s); err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", s, got, err, want)
		}
	}
	for _, name := range []string{"hdr", "x0", "cafe", strings.Repeat("a", 39), strings.Repeat("z", 57), strings.Repeat("g", 60), "0-headers"} {
		if got, err := da.NamespaceOf(name); err != nil || got != da.NamespaceFromName(name) {
			t.Errorf("%s: got %s, %v, want the namespace of the name", name, got, err)
		}
	}
	for _, s := range []string{
		"0x", "0x00", "0xhdr", "0X" + digits[2:], "0x" + digits + "00", "0x" + digits[:57] + "g", // 0x and no namespace
		digits[:40], digits[:41], digits[:57], digits + "0", digits + "00", // 40 digits or more
		digits[:57] + "g", "0x0x" + digits, "0x" + digits[2:],
	} {
		got, err := da.NamespaceOf(s)
		if !errors.Is(err, da.ErrLooksHex) || !strings.Contains(err.Error(), s) {
			t.Errorf("%s: got %s, %v, want ErrLooksHex, and what was given", s, got, err)
		}
	}
}
